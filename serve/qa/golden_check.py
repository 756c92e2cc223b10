"""Runs the artifact's golden examples before a precision is served, through the lanes like any request."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from container.precision import Precision
from model_loader import golden_examples
from model_loader.errors import WarmupFailed
from model_loader.manifest import Manifest
from model_loader.model_io import ModelInput, RunWindows
from model_loader.signing.file_hash import verify_file
from serve.errors import InferenceFailed
from serve.lanes.fair_queue import Ticket
from serve.qa.spans import Logits
from serve.qa.window_runner import WindowRunner, logits_of

log = logging.getLogger(__name__)

ATTEMPTS = 3


async def check_golden_examples(lanes: WindowRunner, manifest: Manifest, precision: Precision) -> None:
    """Compare a precision's logits on the golden examples with those that the manifest recorded.

    Raises: WarmupFailed if a window fails, or if the logits differ from FP32's by more than twice as much as at
    quantization.
    """
    logits = await _run(lanes, manifest, precision)
    compare_with_reference(manifest, precision, logits)


async def _run(lanes: WindowRunner, manifest: Manifest, precision: Precision) -> list[Logits]:
    """Run the golden examples, more than once if lanes are lost meanwhile, which need not be the model's fault."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await logits_of(lanes.submit(Ticket(), precision, golden_inputs(manifest)))
        except InferenceFailed as error:
            if attempt == ATTEMPTS:
                raise WarmupFailed(f"{precision} cannot run its golden examples: {error}") from error
            log.warning("%s could not run its golden examples and tries again: %s", precision, error)
    raise AssertionError("unreachable")


async def check_file(directory: Path, manifest: Manifest, precision: Precision) -> None:
    """Check the file of a precision before a new zygote loads it: it may have changed since the first check.

    Raises: ArtifactMissing, ArtifactInvalid.
    """
    for file in manifest.precisions[precision].files:
        await asyncio.to_thread(verify_file, directory / file.file, file.sha256, file.size_bytes)


async def check_logits(manifest: Manifest, precision: Precision, run: RunWindows) -> None:
    """Check a precision that a new zygote has loaded, before lanes are forked from this zygote.

    Raises: WarmupFailed as check_golden_examples does.
    """
    logits = await run(precision, golden_inputs(manifest))
    compare_with_reference(manifest, precision, [(each.start, each.end) for each in logits])


def golden_inputs(manifest: Manifest) -> list[ModelInput]:
    """Return the windows of the golden examples."""
    return [
        ModelInput(np.array(example.input_ids, dtype=np.int32), example.context_offset)
        for example in manifest.golden_examples
    ]


def compare_with_reference(manifest: Manifest, precision: Precision, logits: Sequence[Logits]) -> None:
    """Compare a precision's logits on the golden examples with those that the manifest recorded.

    Raises: WarmupFailed as check_golden_examples does.
    """
    found = golden_examples.difference_from_reference(manifest, precision, logits)
    allowed = golden_examples.allowed_difference(manifest, precision)
    same = golden_examples.count_matching_answers(manifest, precision, logits)
    if not found <= allowed:
        raise WarmupFailed(
            f"{precision} returns different logits on this CPU than at quantization: they differ from FP32's by "
            f"{found:.4f} (root mean square over {len(logits)} golden examples), and {allowed:.4f} is allowed. "
            "Quantize on a CPU like this one, or serve FP32"
        )
    log.info(
        "%s passes its golden examples: logits differ from FP32's by %.4f (%.4f is allowed); "
        "%d of %d answers match those recorded at quantization",
        *(precision, found, allowed, same, len(logits)),
    )
