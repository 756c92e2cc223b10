"""A pool and its supervisor over scripted lanes: real processes at the far end of the real socket protocol."""

import asyncio
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from container.precision import Precision
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.plan import LaneKind, LaneSpec, Plan
from serve.lanes.pool import LanePool
from serve.lanes.supervisor import LaneSupervisor
from serve.lanes.warmup.zygote import Recheck
from serve.lanes.zygote_client import Zygote
from serve.metrics import Metrics
from serve.processes.absence import Absence

RUNGS = (16, 32, 48)
SCENARIO_SECONDS = 120  # for a scenario; far more than it needs, because other programs may use the cores
SCRIPT = Path(__file__).with_name("scripted_zygote.py")
start_scripted = functools.partial(Zygote.start, (sys.executable, str(SCRIPT)))


def window(*ids: int) -> ModelInput:
    """A window of these token ids."""
    return ModelInput(np.array(ids, dtype=np.int32), 1)


def spec(kind: LaneKind, number: int, *cores: int) -> LaneSpec:
    return LaneSpec(kind, f"{kind}-{number}", frozenset(cores))


NARROW = (spec(LaneKind.NARROW, 0, 0), spec(LaneKind.NARROW, 1, 1))
WIDE = spec(LaneKind.WIDE, 0, 0, 1)
BACKGROUND = (spec(LaneKind.BACKGROUND, 0, 0), spec(LaneKind.BACKGROUND, 1, 1))
GUARD = spec(LaneKind.GUARD, 0, 1)


def model_file(precision: Precision = "INT8", path: str = "scripted.pt") -> ModelFile:
    return ModelFile(precision, path, "torchscript", ("input_ids",), 0)


@dataclass(frozen=True)
class Lanes:
    """What a test gets: a pool whose lanes its supervisor keeps running."""

    pool: LanePool
    supervisor: LaneSupervisor
    metrics: Metrics

    async def bring_up(self, *files: ModelFile) -> None:
        """Bring up precisions without a check of their answers."""
        for file in files:
            await self.supervisor.bring_up(file, no_check)


async def no_check(_: Precision) -> None:
    """Accept every precision."""


def lanes_of(
    specs: Sequence[LaneSpec],
    *files: ModelFile,
    cores: CoreArbiter | None = None,
    rungs: tuple[int, ...] = RUNGS,
    recheck: Recheck | None = None,
    no_lane: Absence | None = None,
) -> Lanes:
    """A pool of these lanes. Nothing is started yet."""
    metrics = Metrics()
    plan = Plan(tuple(specs), rung_step=16, memory_mb=0)
    pool = LanePool(files or (model_file(),), rungs, plan, cores or CoreArbiter(), metrics)
    supervisor = LaneSupervisor(pool, metrics, start_scripted, recheck=recheck, no_lane=no_lane)
    return Lanes(pool, supervisor, metrics)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait on the event loop until something is so; the scenario's own time limit bounds it."""
    while not is_so():
        await asyncio.sleep(0.01)
