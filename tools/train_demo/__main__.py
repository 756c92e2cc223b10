"""Fine-tune a BERT-family encoder on questions in SQuAD's format, as the demo model was made.

    python -m tools.train_demo --encoder ENCODER --phase my-train.json:2 --evaluation my-dev.json --output build/mine

Training runs on a GPU if there is one, else on the CPU. After an interruption, the same command continues where it
stopped. The output is a checkpoint for `quantize`, with a model card that says how it was made and how accurate it is.
"""

import sys

from tools.errors import run
from tools.train_demo.arguments import parse_arguments


def main() -> None:
    """Train, save the checkpoint, and measure it."""
    options = parse_arguments(sys.argv[1:], __doc__)
    from tools.train_demo.training import train  # importing torch takes seconds: the arguments are checked first

    train(options)


if __name__ == "__main__":
    run(main)
