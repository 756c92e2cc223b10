"""Sizes of model files, in megabytes."""

from container.precision import Precision

BERT_BASE: dict[Precision, float] = {"INT8": 181, "FP32": 435}
