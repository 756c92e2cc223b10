"""Runs the artifact's golden examples before a precision is served, through the lanes like any request."""

import logging

import numpy as np

from container.precision import Precision
from model_loader import golden_examples
from model_loader.errors import WarmupFailed
from model_loader.manifest import Manifest
from model_loader.model_io import ModelInput
from serve.errors import InferenceFailed
from serve.lanes.fair_queue import Ticket
from serve.qa.window_runner import WindowRunner, logits_of

log = logging.getLogger(__name__)


async def check_golden_examples(lanes: WindowRunner, manifest: Manifest, precision: Precision) -> None:
    """Compare a precision's logits on the golden examples with those that the manifest recorded.

    Raises: WarmupFailed if a window fails, or if the logits differ from FP32's by more than twice as much as at
    quantization.
    """
    inputs = [
        ModelInput(np.array(example.input_ids, dtype=np.int32), example.context_offset)
        for example in manifest.golden_examples
    ]
    try:
        logits = await logits_of(lanes.submit(Ticket(), precision, inputs))
    except InferenceFailed as error:
        raise WarmupFailed(f"{precision} cannot run its golden examples: {error}") from error
    found = golden_examples.difference_from_reference(manifest, precision, logits)
    allowed = golden_examples.allowed_difference(manifest, precision)
    same = golden_examples.count_matching_answers(manifest, precision, logits)
    if not found <= allowed:
        raise WarmupFailed(
            f"{precision} returns different logits on this CPU than at quantization: they differ from FP32's by "
            f"{found:.4f} (root mean square over {len(inputs)} golden examples), and {allowed:.4f} is allowed. "
            "Quantize on a CPU like this one, or serve FP32"
        )
    log.info(
        "%s passes its golden examples: logits differ from FP32's by %.4f (%.4f is allowed); "
        "%d of %d answers match those recorded at quantization",
        *(precision, found, allowed, same, len(inputs)),
    )
