"""The names of the tasks of requests and of models, and of the units that the offsets of highlights count."""

from typing import Literal

Task = Literal["question-answering", "highlight"]
# What a model was trained for. Its two outputs for each token are the start and end logits of a span, or the logits of
# the two classes: of tokens that are not relevant to the question, and of tokens that are.
ModelTask = Literal["question-answering", "token-relevance"]
OffsetUnit = Literal["code_points", "utf16", "bytes"]  # the bytes are those of UTF-8
