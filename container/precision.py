"""The names of the precisions, as they stand on the wire, in settings and in the manifest."""

from typing import Literal

Precision = Literal["INT8", "BF16", "FP32"]
PRECISIONS: tuple[Precision, ...] = ("INT8", "BF16", "FP32")  # the fastest first: the order of preference
