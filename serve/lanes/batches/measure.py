"""Measure whether several windows in one call of the model take less time than one after the other.

The measurement runs in a lane of its own, which ends afterwards: the shapes that turn out not to be worth their memory
end with it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from container.precision import Precision
from model_loader.errors import WarmupFailed
from model_loader.ladder import Batch, WarmStep
from model_loader.wire import RunResult
from serve.lanes.batches.batches import MIN_GAIN, Batches
from serve.lanes.lane import ForkedLane, LaneProcess, LaneReplies, OnEnd
from serve.lanes.plan import LaneSpec

log = logging.getLogger(__name__)

ROUNDS = 3  # of all sizes in turn; the shortest time counts, because whatever else runs only makes a call longer
LIMIT_SECONDS = 30  # of one call
FIRST_RUNGS = (64, 128)  # tokens; if batches gain nothing at the rungs nearest to these, nothing else is measured

Fork = Callable[[LaneSpec, LaneReplies, OnEnd], Awaitable[ForkedLane]]


async def measure_batches(batches: Batches, precision: Precision, fork: Fork, spec: LaneSpec) -> None:
    """Measure the gain of each candidate on this CPU, and let `batches` choose.

    spec: a lane of one core, on whose core the measurement runs.

    Raises: ModelLoadError, TimeoutError, OSError.
    """
    rungs = batches.candidate_rungs
    if not rungs:
        return
    timer = _CallTimer()
    timer.process = (await fork(replace(spec, name="batch-measurement"), timer, timer.on_end)).process
    try:
        single_ms: dict[int, float] = {}
        batch_ms: dict[Batch, float] = {}
        first = sorted({min(rungs, key=lambda rung: abs(rung - near)) for near in FIRST_RUNGS})
        for number, rung in enumerate([*first, *(each for each in rungs if each not in first)]):
            best = await _time_rung(timer, precision, rung, batches.sizes)
            single_ms[rung] = best[1]
            batch_ms.update({Batch(rung, windows): best[windows] for windows in batches.sizes})
            gains = [batch.windows * single_ms[batch.rung] / cost_ms for batch, cost_ms in batch_ms.items()]
            if number + 1 == len(first) and max(gains) < MIN_GAIN:
                break
    finally:
        timer.process.kill()
    batches.choose(precision, batch_ms, single_ms)
    _log_choice(batches, precision, single_ms, batch_ms)


async def _time_rung(timer: "_CallTimer", precision: Precision, rung: int, sizes: tuple[int, ...]) -> dict[int, float]:
    """Return the shortest time of a call in milliseconds, by its number of windows."""
    best: dict[int, float] = {}
    for _ in range(ROUNDS):
        for windows in (1, *sizes):
            cost_ms = await timer.time(WarmStep(precision, rung, windows))
            best[windows] = min(cost_ms, best.get(windows, cost_ms))
    return best


def _log_choice(
    batches: Batches, precision: Precision, single_ms: dict[int, float], batch_ms: dict[Batch, float]
) -> None:
    gains = ", ".join(
        f"{batch.windows} x {batch.rung} tokens {batch.windows * single_ms[batch.rung] / cost_ms:.2f}"
        for batch, cost_ms in sorted(batch_ms.items())
    )
    chosen = batches.chosen(precision)
    log.info(
        "%s runs %s. Speed of several windows in one call, as a multiple of one at a time: %s",
        precision,
        f"waiting windows together, in {len(chosen)} shapes" if chosen else "one window at a time",
        gains,
    )


class _CallTimer:
    """Sends calls to a lane process one after the other, and receives how long each took. It is a LaneReplies."""

    process: LaneProcess

    def __init__(self) -> None:
        self._cost_ms: asyncio.Future[float] | None = None
        self._has_ended = False

    async def time(self, step: WarmStep) -> float:
        """Run one shape, and return the milliseconds of a call.

        Raises: WarmupFailed, TimeoutError.
        """
        self._cost_ms = asyncio.get_running_loop().create_future()
        if self._has_ended:
            raise WarmupFailed("the lane that measured batches has ended")
        self.process.warm(step)
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self._cost_ms

    def on_warm(self, _: LaneProcess, cost_ms: float) -> None:
        if self._cost_ms and not self._cost_ms.done():
            self._cost_ms.set_result(cost_ms)

    def on_failure(self, _: LaneProcess, reason: str) -> None:
        self._fail(reason)

    def on_result(self, _: LaneProcess, result: RunResult) -> None:
        raise AssertionError(f"{len(result.logits)} windows were never sent. This is a bug.")

    def on_end(self, _: LaneProcess) -> None:
        self._has_ended = True
        self._fail("the lane that measured batches has ended")

    def _fail(self, reason: str) -> None:
        if self._cost_ms and not self._cost_ms.done():
            self._cost_ms.set_exception(WarmupFailed(reason))
