"""Before a precision is served it answers the artifact's golden probes, through the lanes as any request would."""

import asyncio
import logging

import numpy as np

from container.precision import Precision
from model_loader import probes
from model_loader.errors import WarmupFailed
from model_loader.manifest import Manifest
from serve.fair_queue import Turn
from serve.features import Window
from serve.lane_pool import LanePool

log = logging.getLogger(__name__)


async def check_probes(pool: LanePool, manifest: Manifest, precision: Precision) -> None:
    """Run the probes on one precision.

    Raises: WarmupFailed where its logits are further from FP32's than twice what they were when it was made.
    """
    asked = [
        Window(np.array(probe.input_ids, dtype=np.int32), probe.context_offset, first_token=0)
        for probe in manifest.probes
    ]
    jobs = pool.submit(Turn(), precision, asked)
    logits = [(done.start, done.end) for done in await asyncio.gather(*(job.result for job in jobs))]
    found, allowed = probes.drift(manifest, precision, logits)
    same = probes.same_best(manifest, precision, logits)
    if not found <= allowed:
        raise WarmupFailed(
            f"{precision} gives other numbers here than when it was made: its logits differ from FP32's by "
            f"{found:.4f} (root mean square over {len(jobs)} probes), {allowed:.4f} is allowed. "
            "Quantize on a CPU like this one, or serve FP32"
        )
    log.info(
        "%s passes its probes: logits differ from FP32's by %.4f, %.4f is allowed; %d of %d answers are those of then",
        *(precision, found, allowed, same, len(jobs)),
    )
