"""Batches on real lanes: the demo model through IPEX. Costs are injected so that every batch pays."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from container import cpu
from model_loader.artifact import open_artifact
from model_loader.ladder import Batch
from model_loader.model_io import ModelInput, WindowLogits
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.fair_queue import Ticket
from serve.lanes.plan import LaneKind, LaneSpec, Plan
from serve.lanes.pool import LanePool
from serve.lanes.supervisor import LaneSupervisor
from serve.metrics import Metrics
from tests.unit.serve.lanes.scripted_lanes import no_check, until

RUNGS = (16, 32, 48, 64)
LAST_DIGITS = 1e-4  # FP32's logits are between -10 and 10; batches change the order of sums
WINDOWS = 12


def windows() -> list[ModelInput]:
    """Windows of 33 to 64 tokens, with random ids of words."""
    chance = np.random.default_rng(0)
    sizes = chance.integers(33, 65, WINDOWS)
    return [ModelInput(chance.integers(1000, 30000, size).astype(np.int32), 8) for size in sizes]


@pytest.mark.parametrize("precision", ["FP32", "INT8"])
def test_windows_in_one_call_have_the_logits_that_they_have_alone(precision: str, demo_dir: Path) -> None:
    artifact = open_artifact(demo_dir, (precision,), cpu.detect())  # type: ignore[arg-type]
    (file,) = artifact.models
    metrics = Metrics()
    lane = LaneSpec(LaneKind.NARROW, "narrow-0", frozenset({min(artifact_cores())}))
    plan = Plan((lane,), 16, 0, max_batch_windows=4, batch_shapes=12)
    pool = LanePool(artifact.models, RUNGS, plan, CoreArbiter(), metrics)
    supervisor = LaneSupervisor(pool, metrics)

    async def run(inputs: list[ModelInput]) -> list[WindowLogits]:
        jobs = [pool.submit(Ticket(), file.precision, [each])[0] for each in inputs]
        return list(await asyncio.gather(*(job.result for job in jobs)))

    async def scene() -> tuple[list[WindowLogits], list[WindowLogits]]:
        pool.open()
        try:
            async with asyncio.timeout(300):
                await supervisor.bring_up(file, no_check)
                alone = [(await run([each]))[0] for each in windows()]
                supervisor.complete()
                await until(lambda: supervisor.is_warm)
                pool.batches.choose(file.precision, {Batch(64, 2): 1.9, Batch(64, 4): 3.8})
                supervisor._continue_ladder()
                await until(lambda: supervisor.is_warm)
                return alone, await run(windows())
        finally:
            await supervisor.close()

    alone, together = asyncio.run(scene())
    calls = {sample.labels["windows"] for metric in metrics.batches.collect() for sample in metric.samples}
    assert "4" in calls
    pairs = [pair for one, other in zip(alone, together, strict=True) for pair in zip(one, other, strict=True)]
    difference = max(float(np.abs(one - other).max()) for one, other in pairs)
    assert all(len(one.start) == len(each.input_ids) for one, each in zip(together, windows(), strict=True))
    # In INT8, a difference in the last digit moves some activations to the next of 256 steps.
    assert difference < (LAST_DIGITS if precision == "FP32" else 2.0)
    nearest = [min(range(WINDOWS), key=lambda n: distance(each, alone[n])) for each in together]
    assert nearest == list(range(WINDOWS))  # each window got its own logits


def artifact_cores() -> set[int]:
    """The cores that this process may use."""
    return {core for node in cpu.detect().nodes for core in node}


def distance(one: WindowLogits, other: WindowLogits) -> float:
    """The mean difference of logits; windows of other lengths are far away."""
    if len(one.start) != len(other.start):
        return float("inf")
    return float(np.abs(one.start - other.start).mean())
