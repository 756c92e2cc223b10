"""Load Hugging Face question-answering checkpoints from a directory or from the hub.

In this program, only this package imports transformers.
"""

import os

# transformers reads this variable when it is imported. Its warnings are advice for training, which does not apply here,
# and this package converts its errors into one line.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
# Without this, transformers asks a public service to convert the pickles of a repository on the hub to safetensors.
os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "true")
