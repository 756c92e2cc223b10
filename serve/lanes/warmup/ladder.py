"""Warms the rest of the ladder in the zygote, and then the batches that pay, while the server answers requests."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.ladder import WarmStep
from serve.lanes.batches.measure import BatchMeasurement
from serve.lanes.lane import Lane, LaneProcess
from serve.lanes.plan import LaneKind
from serve.lanes.pool import LanePool
from serve.lanes.warmup.zygote import WarmZygote
from serve.lanes.zygote_client import ZygoteEnded

log = logging.getLogger(__name__)

SHAPES_PER_RENEWAL = 4  # that the zygote warms before the lanes of one core are forked again, which takes 50 ms
WARM_POLL_SECONDS = 0.5
MAX_ZYGOTES_LOST = 3  # then a precision fails to load, or the server goes on with the shapes that are warm

RenewLanes = Callable[[], Awaitable[None]]  # fork the lanes of one core again, so that they inherit what is warm


class LadderWarmer:
    """Warms the rungs and the batches of a pool."""

    def __init__(self, pool: LanePool, zygote: WarmZygote, renew: RenewLanes) -> None:
        self._pool = pool
        self._zygote = zygote
        self._renew = renew
        core = next(lane.spec for lane in pool.lanes if lane.spec.kind is LaneKind.NARROW)
        self._measurement = BatchMeasurement(pool.batches, zygote.fork, core)
        self._fresh = 0  # shapes warmed in the zygote since the lanes of one core were renewed
        self._has_measured = False  # whether batches pay

    @property
    def is_warm(self) -> bool:
        """Whether every planned rung and every batch that pays is warm on every lane."""
        return self._has_all_rungs and self._has_measured and all(map(self._has_batches, self._pool.lanes))

    @property
    def measuring(self) -> LaneProcess | None:
        """The process that measures batches now, if there is one."""
        return self._measurement.process

    async def run(self) -> None:
        """Warm shape after shape until all are warm on every lane."""
        lost = 0
        while (step := self._next_step()) or not self.is_warm:
            try:
                if step:
                    await self._warm(step)
                elif not self._has_measured:
                    await self._measure()
                else:  # the wide lanes warm their own rungs when no window waits; a lane that was lost comes back
                    await asyncio.sleep(WARM_POLL_SECONDS)
                    await self._renew()
            except ZygoteEnded as error:
                lost += 1
                if lost == MAX_ZYGOTES_LOST:
                    log.error("no more shapes are warmed, because %d zygotes have ended: %s", lost, error)
                    return
                log.error("the ladder is not warm yet: %s. The server starts a new zygote", error)
            except (ModelLoadError, OSError) as error:
                log.error("no more shapes are warmed; the server uses those that are warm: %s", error)
                return
        log.info("all %d rungs are warm on every lane, and all batches that pay", len(self._pool.rungs))

    async def _warm(self, step: WarmStep) -> None:
        """Warm one shape. After a few shapes, and after the last one, renew the lanes of one core to inherit them.

        Raises: ModelLoadError, but not if the shape itself cannot be warmed.
        """
        try:
            await self._zygote.warm(step)
        except ZygoteEnded:
            raise
        except WarmupFailed as error:
            self._pool.cannot_warm(step, str(error))
        else:
            self._fresh += 1
        if self._fresh >= SHAPES_PER_RENEWAL or self._next_step() is None:
            await self._renew()
            self._fresh = 0

    async def _measure(self) -> None:
        """Measure which batches pay, in each precision that requests may use.

        Raises: ZygoteEnded.
        """
        for precision in self._pool.precisions.accepted:
            try:
                await self._measurement.run(precision)
            except ZygoteEnded:
                raise
            except (ModelLoadError, TimeoutError, OSError) as error:
                log.warning("%s runs one window at a time, because batches could not be measured: %s", precision, error)
        self._has_measured = True

    def _next_step(self) -> WarmStep | None:
        """Return what the zygote warms next: rungs first, then batches."""
        zygote, accepted = self._zygote, self._pool.precisions.accepted
        if step := self._pool.choice.warmup_order.next(zygote.warm_rungs, accepted):
            return step
        batches = (WarmStep(each, *batch) for each in accepted for batch in self._pool.batches.chosen(each))
        return next(
            (step for step in batches if (step.rung, step.windows) not in zygote.warm_batches.get(step.precision, ())),
            None,
        )

    @property
    def _has_all_rungs(self) -> bool:
        return all(lane.process and not self._pool.choice.is_cold(lane) for lane in self._pool.lanes)

    def _has_batches(self, lane: Lane) -> bool:
        return lane.spec.kind is LaneKind.WIDE or all(
            lane.warm_batches.get(precision, frozenset()).issuperset(self._pool.batches.chosen(precision))
            for precision in self._pool.precisions.files
        )
