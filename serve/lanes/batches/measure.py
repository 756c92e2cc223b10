"""Measure whether several windows in one call of the model take less time than one after the other.

Each rung is measured in a lane of its own, which ends afterwards: so the memory of the shapes that turn out not to pay
is free again, and at no time are there more than those of one rung. Time of the CPU counts, and not of the clock,
because the server answers requests meanwhile, and a long call is interrupted more often than a short one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from container.precision import Precision
from model_loader.errors import WarmupFailed
from model_loader.ladder import Batch, WarmStep
from model_loader.wire import RunResult, Warmed
from serve.lanes.batches.batches import MIN_GAIN, Batches
from serve.lanes.lane import ForkedLane, LaneProcess, LaneReplies, OnEnd
from serve.lanes.plan import LaneSpec

log = logging.getLogger(__name__)

ROUNDS = 3  # of all sizes in turn; the shortest time counts, because whatever else runs only makes a call longer
LIMIT_SECONDS = 60  # of one call
FIRST_RUNGS = (64, 128)  # tokens; if batches gain nothing at the rungs nearest to these, nothing else is measured

Fork = Callable[[LaneSpec, LaneReplies, OnEnd], Awaitable[ForkedLane]]


class BatchMeasurement:
    """Measures the batches of one model, on the core of one of its narrow lanes."""

    def __init__(self, batches: Batches, fork: Fork, spec: LaneSpec) -> None:
        """spec: the lane whose core is used."""
        self._batches = batches
        self._fork = fork
        self._spec = replace(spec, name="batch-measurement")
        self.process: LaneProcess | None = None  # while a rung is measured

    async def run(self, precision: Precision) -> None:
        """Measure the gain of each candidate, let the batches choose, and log what was chosen.

        Raises: ModelLoadError, TimeoutError, OSError.
        """
        gains: dict[Batch, float] = {}
        first = (
            sorted({min(self._rungs, key=lambda rung: abs(rung - near)) for near in FIRST_RUNGS}) if self._rungs else []
        )
        for rung in first:
            gains.update(await self._gains(precision, rung))
        if max(gains.values(), default=0) >= MIN_GAIN:
            for rung in self._rungs:
                if rung not in first:
                    gains.update(await self._gains(precision, rung))
        if gains:
            self._batches.choose(precision, gains)
            _log_choice(precision, gains, len(self._batches.chosen(precision)))

    @property
    def _rungs(self) -> tuple[int, ...]:
        return self._batches.candidate_rungs

    async def _gains(self, precision: Precision, rung: int) -> dict[Batch, float]:
        """Fork a lane, measure one rung in it, and end the lane."""
        timer = _CallTimer()
        self.process = timer.process = (await self._fork(self._spec, timer, timer.on_end)).process
        try:
            best: dict[int, float] = {}
            for _ in range(ROUNDS):
                for windows in (1, *self._batches.sizes):
                    cpu_ms = await timer.time(WarmStep(precision, rung, windows))
                    best[windows] = min(cpu_ms, best.get(windows, cpu_ms))
        finally:
            self.process = None
            timer.process.kill()
        return {Batch(rung, windows): windows * best[1] / best[windows] for windows in self._batches.sizes}


def _log_choice(precision: Precision, gains: dict[Batch, float], shapes: int) -> None:
    log.info(
        "%s runs %s. Speed of several windows in one call, compared with one at a time: %s",
        precision,
        f"waiting windows together, in {shapes} shape(s)" if shapes else "one window at a time",
        ", ".join(f"{batch.windows} of {batch.rung} tokens {gain:.2f} times" for batch, gain in sorted(gains.items())),
    )


class _CallTimer:
    """Sends calls to a lane process one after the other, and receives how long each took. It is a LaneReplies."""

    process: LaneProcess

    def __init__(self) -> None:
        self._cpu_ms: asyncio.Future[float] | None = None
        self._has_ended = False

    async def time(self, step: WarmStep) -> float:
        """Run one shape, and return the milliseconds of CPU time of a call.

        Raises: WarmupFailed, TimeoutError.
        """
        self._cpu_ms = asyncio.get_running_loop().create_future()
        if self._has_ended:
            raise WarmupFailed("the lane that measured batches has ended")
        self.process.warm(step)
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self._cpu_ms

    def on_warm(self, _: LaneProcess, warmed: Warmed) -> None:
        if self._cpu_ms and not self._cpu_ms.done():
            self._cpu_ms.set_result(warmed.cpu_ms)

    def on_failure(self, _: LaneProcess, reason: str) -> None:
        self._fail(reason)

    def on_result(self, _: LaneProcess, result: RunResult) -> None:
        raise AssertionError(f"{len(result.logits)} windows were never sent. This is a bug.")

    def on_end(self, _: LaneProcess) -> None:
        self._has_ended = True
        self._fail("the lane that measured batches has ended")

    def _fail(self, reason: str) -> None:
        if self._cpu_ms and not self._cpu_ms.done():
            self._cpu_ms.set_exception(WarmupFailed(reason))
