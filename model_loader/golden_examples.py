"""Golden examples: does a precision still give the numbers that it gave when the artifact was made? Pure numpy.

INT8 kernels differ between CPUs: without VNNI they saturate. So INT8's logits here are held against FP32's of the
manifest, which differ between CPUs by rounding only.
"""

from collections.abc import Sequence

import numpy as np

from container.precision import Precision
from model_loader.manifest import GoldenExample, Manifest

MAX_DRIFT = 2.0  # times the difference to FP32 that the precision had when it was made
# FP32's own share: other kernels sum in another order. Measured between AVX2 and AVX-512: 1e-5 (docs/decisions/0003).
ROUNDING = 1e-3


def rms_difference(
    examples: Sequence[GoldenExample], logits: Sequence[tuple[np.ndarray, np.ndarray]], reference: Precision = "FP32"
) -> float:
    """Root-mean-square difference of logits to a precision's of the manifest, over all tokens of all golden examples.

    Shapes: logits are (start, end) for each example, (T,) each.
    """
    squares = []
    for example, (start, end) in zip(examples, logits, strict=True):
        golden = example.results[reference]
        squares.append((start - np.array(golden.start_logits)) ** 2)
        squares.append((end - np.array(golden.end_logits)) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def drift(
    manifest: Manifest, precision: Precision, logits: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """How far a precision's logits here are from FP32's, and how far they may be.

    Where the artifact has no FP32, its own logits of then are the reference.
    """
    reference: Precision = (
        "FP32" if all("FP32" in example.results for example in manifest.golden_examples) else precision
    )
    allowed = MAX_DRIFT * manifest.precisions[precision].rms_difference + ROUNDING
    return rms_difference(manifest.golden_examples, logits, reference), allowed


def same_best(manifest: Manifest, precision: Precision, logits: Sequence[tuple[np.ndarray, np.ndarray]]) -> int:
    """How many golden examples have the best start and the best end that they had when the artifact was made."""
    golden = [example.results[precision] for example in manifest.golden_examples]
    return sum(
        start.argmax() == np.argmax(then.start_logits) and end.argmax() == np.argmax(then.end_logits)
        for then, (start, end) in zip(golden, logits, strict=True)
    )
