"""Keeps the lanes of one model running: starts the zygote, warms it, forks lanes from it, and replaces what is lost.

Everything runs on the event loop. Each precision comes up in one coroutine, `bring_up`: load, fork, check, accept.
Afterwards a task starts the wide lanes and warms the rest of the ladder while the server answers requests.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator

from container.precision import Precision
from model_loader.errors import ModelLoadError
from model_loader.model_file import ModelFile
from serve.lanes.lane import Lane, LaneProcess
from serve.lanes.plan import LaneKind
from serve.lanes.pool import LanePool
from serve.lanes.warmup.ladder import MAX_ZYGOTES_LOST, LadderWarmer
from serve.lanes.warmup.order import count_shapes
from serve.lanes.warmup.zygote import Recheck, StartZygote, WarmZygote
from serve.lanes.zygote_client import Zygote, ZygoteEnded
from serve.metrics import Metrics
from serve.processes.absence import Absence
from serve.processes.heartbeat import Watched
from serve.processes.watch import BackgroundTasks, watch

log = logging.getLogger(__name__)

OF_ONE_CORE = (LaneKind.NARROW, LaneKind.BACKGROUND, LaneKind.GUARD)
RESPAWN_PAUSE_SECONDS = (
    1  # the pause grows by this with each early end, up to 10 s; the first replacement starts at once
)
NO_LANE_SECONDS = 60  # then the server ends, so that its platform starts it again
REVIVE_PAUSE_SECONDS = 10

Check = Callable[[Precision], Awaitable[None]]


class LaneSupervisor:
    """Starts and replaces the lanes of a pool."""

    def __init__(
        self,
        pool: LanePool,
        metrics: Metrics,
        start_zygote: StartZygote = Zygote.start,
        *,
        recheck: Recheck | None = None,
        no_lane: Absence | None = None,
    ) -> None:
        """recheck: checks each precision that a new zygote has loaded in the place of one that has ended.

        no_lane: is told at each beat whether there is a lane that can answer any request, once there has been one.
        """
        self._pool = pool
        self._metrics = metrics
        self._zygote = WarmZygote(start_zygote, max(pool.rungs), pool.costs, pool.precisions, recheck)
        self._tasks = BackgroundTasks()
        self._ladder = LadderWarmer(pool, self._zygote, self._renew_lanes_of_one_core)
        self._warming: asyncio.Task[None] | None = None
        self._no_lane = no_lane
        self._has_had_lanes = False
        self._beats: asyncio.Task[None] | None = None
        self._is_reviving = False
        self._is_complete = False
        self._is_closing = False

    @property
    def has_live_lane(self) -> bool:
        """Whether a lane is running that can answer any request."""
        return any(lane.process is not None for lane in self._pool.lanes if lane.spec.kind is LaneKind.NARROW)

    @property
    def is_warm(self) -> bool:
        """Whether every planned rung and every batch that pays is warm on every lane."""
        return self._ladder.is_warm

    @property
    def pids(self) -> list[int]:
        """The process ids of all lanes."""
        lanes = self._pool.lanes
        successors = [lane.successor.process for lane in lanes if lane.successor]
        measuring = [self._ladder.measuring] if self._ladder.measuring else []
        return [process.pid for process in (*(lane.process for lane in lanes if lane.process), *successors, *measuring)]

    def processes(self) -> Iterator[tuple[str, int]]:
        """Yield the kind and the process id of the zygote and of all lanes, and of the one that measures batches."""
        if self._zygote.process:
            yield "zygote", self._zygote.process.pid
        if self._ladder.measuring:
            yield LaneKind.NARROW.value, self._ladder.measuring.pid
        for lane in self._pool.lanes:
            for process in (lane.process, lane.successor and lane.successor.process):
                if process:
                    yield lane.spec.kind.value, process.pid

    async def bring_up(self, file: ModelFile, check: Check, attempts: int = MAX_ZYGOTES_LOST) -> None:
        """Load a precision, fork lanes that can run it, check its answers, and accept it for requests.

        attempts: after this many lost zygotes, the precision cannot be loaded.

        Raises: ModelLoadError, or what `check` raises.
        """
        self._beats = self._beats or self._tasks.start(watch(self._processes, self._after_beat))
        await self._load_and_fork(file, attempts)
        await check(file.precision)
        self._pool.precisions.accept(file.precision)

    def complete(self) -> None:
        """Start the wide lanes and warm the rest of the ladder while the server answers requests."""
        self._is_complete = True
        self._tasks.start(self._complete())

    async def close(self) -> None:
        """End the lanes and the zygote."""
        self._is_closing = True
        self._pool.close()
        self._tasks.cancel()
        for lane in self._pool.lanes:
            for process in (lane.process, lane.successor and lane.successor.process):
                if process:
                    process.kill()
        await self._zygote.close()

    async def _load_and_fork(self, file: ModelFile, attempts: int) -> None:
        """Load a precision and fork its lanes. If the zygote ends meanwhile, try again."""
        for attempt in range(1, attempts + 1):
            try:
                await self._zygote.load(file)
                await self._renew_lanes_of_one_core()
                self._has_had_lanes = True
                return
            except ZygoteEnded as error:
                if attempt == attempts:
                    raise
                log.error("%s could not be loaded: %s. The server tries again with a new zygote", file.precision, error)

    # The ladder

    async def _complete(self) -> None:
        for lane in self._pool.lanes:
            if lane.spec.kind is LaneKind.WIDE:
                await self._fill(lane)
        self._continue_ladder()

    def _continue_ladder(self) -> None:
        if self._warming is None or self._warming.done():
            self._warming = self._tasks.start(self._ladder.run())

    # Start and replace lanes

    async def _renew_lanes_of_one_core(self) -> None:
        """Fork each lane of one core again if the new process has more warm shapes."""
        for lane in self._pool.lanes:
            if lane.spec.kind in OF_ONE_CORE:
                await self._renew(lane)

    async def _renew(self, lane: Lane) -> None:
        offered, zygote = self._pool.precisions.files, self._zygote
        fresh = count_shapes(zygote.warm_rungs, offered) + count_shapes(zygote.warm_batches, offered)
        if lane.process and fresh <= count_shapes(lane.warm, offered) + count_shapes(lane.warm_batches, offered):
            return
        lane.renew(await self._zygote.fork(lane.spec, self._pool, self.on_end))
        self._pool.dispatch()

    async def _fill(self, lane: Lane) -> None:
        """Start a process for a lane that has none; try until that succeeds or the server ends."""
        while lane.process is None:
            try:
                await self._renew(lane)
            except Exception as error:  # the lane must come back, whatever was wrong
                is_bug = not isinstance(error, (ModelLoadError, OSError))
                message = "cannot start lane %s: %s. The server tries again in a second"
                log.error(message, lane.spec.name, error, exc_info=is_bug)
                await asyncio.sleep(RESPAWN_PAUSE_SECONDS)

    def on_end(self, process: LaneProcess) -> None:
        """Run the windows of a lane's process that has ended elsewhere, and start another unless it was replaced."""
        for each in self._pool.lanes:
            if each.successor and each.successor.process is process:
                each.successor = None  # the next renewal brings another
        lane = self._pool.lane_of(process)
        if self._is_closing or lane is None:
            return
        log.error("lane %s: process %d has ended; the server starts another", lane.spec.name, process.pid)
        self._pool.put_back(lane)
        lane.process, lane.warm, lane.warm_batches = None, {}, {}
        lane.count_end()
        self._metrics.lane_restarts.labels(lane.spec.kind.value).inc()
        process.kill()
        lane.take_over()
        self._tasks.start(self._replace(lane))
        self._pool.cores.offer_cores()

    async def _replace(self, lane: Lane) -> None:
        """Start another process for a lane, from a new zygote if the zygote has ended too."""
        await asyncio.sleep(min(lane.early_ends, 10) * RESPAWN_PAUSE_SECONDS)
        await self._fill(lane)
        self._continue_ladder()

    def _processes(self) -> list[Watched]:
        lanes = [each.process for each in self._pool.lanes if each.process]
        successors = [each.successor.process for each in self._pool.lanes if each.successor]
        zygote = self._zygote.process
        measuring = self._ladder.measuring
        return [*lanes, *successors, *([zygote] if zygote else []), *([measuring] if measuring else [])]

    def _after_beat(self) -> None:
        if self._is_complete and not self._zygote.is_alive and not self._is_reviving:
            self._is_reviving = True
            self._tasks.start(self._revive())
        if self._no_lane:
            self._no_lane.note(is_present=self.has_live_lane or not self._has_had_lanes)

    async def _revive(self) -> None:
        """Start a zygote in the place of one that has ended, before a lane needs it."""
        try:
            await self._zygote.revive()
            self._continue_ladder()
        except (ModelLoadError, OSError) as error:
            log.error("cannot start another zygote: %s. The server tries again in %d s", error, REVIVE_PAUSE_SECONDS)
            await asyncio.sleep(REVIVE_PAUSE_SECONDS)
        finally:
            self._is_reviving = False
