"""What a request notes of its windows."""

import asyncio
import time

import numpy as np
import pytest

from model_loader.model_io import WindowLogits
from serve.lanes.admission import Admission, AdmissionLimits
from serve.lanes.fair_queue import Job
from serve.qa.request_lanes import PoolLanes, Trace
from tests.unit.serve.lanes.scripted_lanes import NARROW, lanes_of, window
from tests.unit.serve.lanes.scripted_zygote import COST_MS


def test_the_lines_of_one_request_share_one_stage_of_inference_and_the_longest_wait() -> None:
    async def scenario() -> Trace:
        pool, trace, now = lanes_of(NARROW).pool, Trace(passes=[]), time.perf_counter()
        admission = Admission(pool, AdmissionLimits(60, 10))
        for submitted, started in ((now - 9, now - 5), (now - 8, now - 6), (now - 2, now - 1)):  # not in their order
            lanes = PoolLanes(pool, admission, admission.issue_permit(), trace)
            job = Job("INT8", window(1, 2), COST_MS, asyncio.get_running_loop().create_future())
            job.submitted_at, job.started_at, job.ended_at, job.lane, job.rung = submitted, started, now, "narrow-0", 16
            job.result.set_result(WindowLogits(np.zeros(2, np.float32), np.zeros(2, np.float32)))
            await lanes.result(job)
        return trace

    trace = asyncio.run(scenario())
    assert trace.stages["inference"] == pytest.approx(6, abs=0.5)  # and not only that of the last line
    assert trace.stages["queue"] == pytest.approx(4)
    assert trace.began["inference"] + trace.stages["inference"] <= time.perf_counter()
    assert trace.passes is not None
    assert [each.lane for each in trace.passes] == ["narrow-0"] * 3
