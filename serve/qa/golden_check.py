"""Before a precision is served it answers the artifact's golden examples, through the lanes as any request would."""

import asyncio
import logging

import numpy as np

from container.precision import Precision
from model_loader import golden_examples
from model_loader.errors import WarmupFailed
from model_loader.manifest import Manifest
from serve.lanes.fair_queue import Ticket
from serve.lanes.pool import LanePool
from serve.qa.features import Window

log = logging.getLogger(__name__)


async def check_golden_examples(pool: LanePool, manifest: Manifest, precision: Precision) -> None:
    """Run the golden examples on one precision.

    Raises: WarmupFailed where its logits are further from FP32's than twice what they were when it was made.
    """
    asked = [
        Window(np.array(example.input_ids, dtype=np.int32), example.context_offset, first_token=0)
        for example in manifest.golden_examples
    ]
    jobs = pool.submit(Ticket(), precision, asked)
    logits = [(done.start, done.end) for done in await asyncio.gather(*(job.result for job in jobs))]
    found = golden_examples.difference_from_reference(manifest, precision, logits)
    allowed = golden_examples.allowed_difference(manifest, precision)
    same = golden_examples.count_matching_answers(manifest, precision, logits)
    if not found <= allowed:
        raise WarmupFailed(
            f"{precision} gives other numbers here than when it was made: its logits differ from FP32's by "
            f"{found:.4f} (root mean square over {len(jobs)} golden examples), {allowed:.4f} is allowed. "
            "Quantize on a CPU like this one, or serve FP32"
        )
    log.info(
        "%s passes its golden examples: logits differ from FP32's by %.4f (%.4f is allowed); "
        "%d of %d answers match those recorded at quantization",
        *(precision, found, allowed, same, len(jobs)),
    )
