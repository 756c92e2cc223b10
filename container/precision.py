"""The names of the precisions. Requests, settings and the manifest all use these names."""

from typing import Literal

Precision = Literal["INT8", "BF16", "FP32"]
PRECISIONS: tuple[Precision, ...] = ("INT8", "BF16", "FP32")  # The fastest first, which is the order of preference.
