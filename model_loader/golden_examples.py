"""Compare the logits of the golden examples with those in the manifest. The functions use numpy only.

A golden example is a question whose logits are stored in the artifact when it is quantized. The server answers it
again at each start, because the INT8 kernels of some CPUs lose accuracy: without VNNI, intermediate sums can saturate.
Logits in FP32 differ between CPUs by rounding only, so FP32's stored logits are the reference for every precision.
"""

from collections.abc import Sequence

import numpy as np

from container.precision import Precision
from model_loader.manifest import GoldenExample, Manifest

Logits = tuple[np.ndarray, np.ndarray]  # start logits and end logits of one example, (T,) each

# On this CPU, a precision may differ from FP32 this many times as much as it did at quantization (docs/decisions/0003).
MAX_DIFFERENCE_RATIO = 2.0
# Kernels add numbers in different orders. Between AVX2 and AVX-512, FP32's logits differ by 4e-6 (docs/decisions/0003).
ROUNDING_TOLERANCE = 1e-3


def rms_difference(examples: Sequence[GoldenExample], logits: Sequence[Logits], reference: Precision = "FP32") -> float:
    """Return the root mean square difference between logits and the stored logits of the reference precision.

    The mean is taken over the tokens of all examples. logits holds one pair for each example, in the same order.
    """
    squares = []
    for example, (start, end) in zip(examples, logits, strict=True):
        stored = example.results[reference]
        squares.append((start - np.array(stored.start_logits)) ** 2)
        squares.append((end - np.array(stored.end_logits)) ** 2)
    return float(np.sqrt(np.mean(np.concatenate(squares))))


def difference_from_reference(manifest: Manifest, precision: Precision, logits: Sequence[Logits]) -> float:
    """Return the root mean square difference between a precision's logits on this CPU and the reference.

    The reference is FP32. If the artifact has no FP32, it is the precision itself, as recorded at quantization.
    """
    has_fp32 = all("FP32" in example.results for example in manifest.golden_examples)
    return rms_difference(manifest.golden_examples, logits, "FP32" if has_fp32 else precision)


def allowed_difference(manifest: Manifest, precision: Precision) -> float:
    """Return the largest difference from the reference with which the server still serves a precision."""
    return MAX_DIFFERENCE_RATIO * manifest.precisions[precision].rms_difference + ROUNDING_TOLERANCE


def count_matching_answers(manifest: Manifest, precision: Precision, logits: Sequence[Logits]) -> int:
    """Count the examples whose best start token and best end token are those recorded at quantization."""
    recorded = [example.results[precision] for example in manifest.golden_examples]
    return sum(
        start.argmax() == np.argmax(result.start_logits) and end.argmax() == np.argmax(result.end_logits)
        for result, (start, end) in zip(recorded, logits, strict=True)
    )
