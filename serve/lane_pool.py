"""The lanes as the server sees them: which are alive, warm and busy, and who runs which window next.

A core runs one lane at a time. One waiting window goes to the wide lane if all cores are idle, else to a narrow one.
Lanes warm the rest of their ladder when nothing waits; under load each still warms a rung every few windows, since a
cold rung makes every window that wants it dearer. A lane that dies or hangs is replaced, its window runs again.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Collection, Coroutine, Sequence

from container.precision import Precision
from model_loader import ladder, wire
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from model_loader.wire import Kind, WindowRun
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.fair_queue import FairQueue, Job, Turn
from serve.features import Window
from serve.lane_plan import LaneSpec, parallel_lanes
from serve.metrics import Metrics
from serve.prices import PriceTable
from serve.slot import Slot, WarmStep
from serve.zygote_client import LaneProcess, Zygote

log = logging.getLogger(__name__)

WINDOWS_PER_WARMUP = 4  # under load: at most a fifth of the passes warm, until the ladder is complete
MAX_ATTEMPTS = 2  # a window that was on a lane when it died runs once more; twice is the window's own fault
WARMUP_LIMIT_SECONDS = 120
HANG_FACTOR = 20  # a pass that takes so many times its price, and 5 s at least, hangs
HANG_FLOOR_SECONDS = 5
RESPAWN_PAUSE_SECONDS = 1  # times the restarts before this one, 10 at most: the first replacement comes at once
MAX_LOSSES_BEFORE_READY = 4  # lanes that end while nothing was ever warm: the model does not run here


class LanePool:
    """Runs windows on lanes. Lives on the event loop; nothing here blocks or is shared with threads."""

    def __init__(
        self, files: Sequence[ModelFile], rungs: tuple[int, ...], plan: tuple[LaneSpec, ...], metrics: Metrics
    ) -> None:
        self.rungs = rungs
        self.slots = [Slot(spec) for spec in plan]
        self.prices = PriceTable()
        self._files = {file.precision: file for file in files}
        self._warm_order = ladder.warm_order(rungs)
        self._parallel = parallel_lanes(plan)
        self._metrics = metrics
        self._queue = FairQueue()
        self._wanted: Counter[tuple[Precision, int]] = Counter()  # windows that would have fitted a colder rung
        self._first_warm: dict[Precision, asyncio.Future[None]] = {}  # the longest rung is warm on some lane
        self._accepted: dict[Precision, asyncio.Future[None]] = {}  # and the probes are passed
        self._tasks: set[asyncio.Task[None]] = set()
        self._zygote: Zygote | None = None
        self._zygote_lock = asyncio.Lock()
        self._closing = False

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those that are served, the preferred one first."""
        return tuple(self._files)

    @property
    def has_live_lane(self) -> bool:
        """Whether any lane is alive: without one nothing can be answered."""
        return any(slot.process is not None for slot in self.slots)

    @property
    def is_warm(self) -> bool:
        """Whether every planned rung is warm on every lane."""
        return all(slot.warmed == self._planned for slot in self.slots)

    @property
    def _planned(self) -> int:
        return len(self.rungs) * len(self._files)

    async def start(self) -> None:
        """Load the models and fork the lanes, which begin to warm.

        Raises: ModelLoadError.
        """
        loop = asyncio.get_running_loop()
        self._first_warm = {precision: loop.create_future() for precision in self._files}
        self._accepted = {precision: loop.create_future() for precision in self._files}
        self._zygote = await Zygote.start(list(self._files.values()))
        for slot in self.slots:
            await self._fill(slot)

    async def first_warm(self, precision: Precision) -> None:
        """Wait until the longest rung of a precision is warm on some lane, so that it can be tested.

        Raises: WarmupFailed.
        """
        await asyncio.shield(self._first_warm[precision])

    def accept(self, precision: Precision) -> None:
        """Serve this precision: it has passed its tests."""
        self._accepted[precision].set_result(None)
        self._dispatch()

    def withdraw(self, precision: Precision) -> None:
        """Serve this precision no more."""
        del self._files[precision]
        for slot in self.slots:
            slot.warm.pop(precision, None)
        accepted = self._accepted[precision]
        if not accepted.done():
            accepted.set_result(None)
        self._dispatch()

    async def until_served(self, precision: Precision) -> None:
        """Wait until a precision is accepted; for a few seconds after the first one is, another may not be yet.

        Raises: PrecisionUnavailable.
        """
        if precision in self._files:
            await asyncio.shield(self._accepted[precision])
        if precision not in self._files:
            raise PrecisionUnavailable(f"version: {precision} is not loaded; here is {', '.join(self.precisions)}")

    async def close(self) -> None:
        """End all lanes."""
        self._closing = True
        for slot in self.slots:
            if slot.process:
                slot.process.close()
        if self._zygote:
            await self._zygote.close()

    def price_ms(self, precision: Precision, windows: Sequence[Window]) -> float:
        """What these windows cost on narrow lanes, lane milliseconds."""
        width = self.slots[0].spec.width
        return sum(self.prices.price_ms(width, precision, len(window.input_ids)) for window in windows)

    def wait_ms(self, windows: int) -> float:
        """How long others keep the lanes before a new request of so many windows is through."""
        now = time.perf_counter()
        running = sum(
            max(0.0, slot.work.price_ms - (now - slot.work.started_at) * 1000)
            for slot in self.slots
            if isinstance(slot.work, Job)
        )
        return (running + self._queue.wait_ms(windows)) / self._parallel

    def parallel_ms(self, lane_ms: float, windows: int) -> float:
        """Wall-clock of so much work on an idle server."""
        return lane_ms / max(1, min(self._parallel, windows))

    @property
    def waiting(self) -> int:
        """Windows in the queue."""
        return len(self._queue)

    def submit(self, turn: Turn, precision: Precision, windows: Sequence[Window]) -> list[Job]:
        """Queue windows of a request; each job's result comes when a lane has run it."""
        loop = asyncio.get_running_loop()
        now = time.perf_counter()
        jobs = [
            Job(precision, window, self.price_ms(precision, (window,)), loop.create_future(), submitted_at=now)
            for window in windows
        ]
        for job in jobs:
            self._queue.add(turn, job)
        self._dispatch()
        return jobs

    def drop(self, turn: Turn, jobs: Collection[Job]) -> None:
        """Forget those of a request's windows that still wait."""
        self._queue.drop(turn, jobs)

    def _dispatch(self) -> None:
        """Give every free lane that can do something its work."""
        while not self._closing and (assignment := self._next_assignment()):
            self._begin(*assignment)

    def _next_assignment(self) -> tuple[Slot, WarmStep | Job, Turn] | None:
        """Who does what next; None when no free lane has anything to do."""
        busy = frozenset().union(*(slot.spec.cores for slot in self.slots if slot.work is not None))
        free = [slot for slot in self.slots if slot.is_idle and not slot.spec.cores & busy]
        free.sort(key=lambda slot: slot.spec.width, reverse=self._queue.is_single())
        for slot in free:
            if slot.windows_since_warmup >= WINDOWS_PER_WARMUP and (step := self._next_warm_step(slot)):
                return slot, step, Turn()
            found = self._queue.pop(lambda job, slot=slot: self._can_run(slot, job))  # type: ignore[misc]
            if found:
                turn, job = found
                return slot, job, turn
        # Nothing waits that could run: warm. In step with the other lanes, so that the wide one, which needs all
        # cores at once, gets its turn.
        least = min((slot.warmed for slot in self.slots if slot.process), default=0)
        for slot in free:
            if slot.warmed <= least and (step := self._next_warm_step(slot)):
                return slot, step, Turn()
        return None

    def _can_run(self, slot: Slot, job: Job) -> bool:
        return slot.rung_for(job.precision, len(job.window.input_ids)) is not None

    def _next_warm_step(self, slot: Slot) -> WarmStep | None:
        """First the longest rung of each precision on some lane; when those are accepted, the most wanted."""
        if slot.warmed == self._planned:
            return None
        longest = self._warm_order[0]
        under_way = [other.work for other in self.slots]
        for precision in self._files:
            is_warm = any(longest in other.warm.get(precision, ()) for other in self.slots)
            if not is_warm and (first := WarmStep(precision, longest)) not in under_way:
                return first
            if is_warm and not self._accepted[precision].done():
                return None  # its probes come next: they wait for no warm-up
        missing = [
            WarmStep(precision, rung)
            for rung in self._warm_order
            for precision in self._files
            if self._accepted[precision].done() and rung not in slot.warm.get(precision, ())
        ]
        return max(
            missing, key=lambda step: (step.rung == longest, self._wanted[step.precision, step.rung]), default=None
        )

    def _begin(self, slot: Slot, work: WarmStep | Job, turn: Turn) -> None:
        process = slot.process
        assert process is not None
        slot.work, slot.turn = work, turn
        process.send(self._frame(slot, work))
        limit = self._limit_seconds(work)
        slot.watchdog = asyncio.get_running_loop().call_later(limit, self._lose, process, f"it hangs for {limit:.0f} s")

    def _on_reply(self, process: LaneProcess, kind: Kind, body: bytes) -> None:
        slot = self._slot_of(process)
        if slot is None:
            return  # the lane was given up meanwhile
        work = slot.free()
        if isinstance(work, WarmStep):
            self._finish_warmup(slot, work, kind, body)
        elif work is not None:
            self._finish_window(slot, work, kind, body)
        self._dispatch()

    def _slot_of(self, process: LaneProcess) -> Slot | None:
        return next((slot for slot in self.slots if slot.process is process), None)

    def _limit_seconds(self, work: WarmStep | Job) -> float:
        if isinstance(work, WarmStep):
            return WARMUP_LIMIT_SECONDS
        return max(HANG_FLOOR_SECONDS, HANG_FACTOR * work.price_ms / 1000)

    def _frame(self, slot: Slot, work: WarmStep | Job) -> bytes:
        if isinstance(work, WarmStep):
            slot.windows_since_warmup = 0
            return wire.warm_frame(work.precision, work.rung)
        tokens = len(work.window.input_ids)
        rung = slot.rung_for(work.precision, tokens)
        assert rung is not None
        work.rung = rung
        work.attempts += 1
        work.started_at = time.perf_counter()
        slot.windows_since_warmup += 1
        ideal = ladder.rung_for(tokens, self.rungs)
        if ideal is not None and ideal < rung:
            self._wanted[work.precision, ideal] += 1
        return wire.run_frame(WindowRun(work.precision, rung, work.window.context_offset, work.window.input_ids))

    def _finish_warmup(self, slot: Slot, step: WarmStep, kind: Kind, body: bytes) -> None:
        if step.precision not in self._files:
            return  # withdrawn meanwhile
        reply = json.loads(body)
        first = self._first_warm[step.precision]
        if kind is Kind.FAILED:
            if first.done():
                log.error("%s cannot warm rung %d: %s", slot.spec.name, step.rung, reply["error"])
                self.withdraw(step.precision)
            else:
                self.withdraw(step.precision)
                first.set_exception(WarmupFailed(reply["error"]))
            return
        slot.warm.setdefault(step.precision, set()).add(step.rung)
        log.debug("%s warmed %s at %d tokens: %.1f ms", slot.spec.name, step.precision, step.rung, reply["cost_ms"])
        self.prices.observe(slot.spec.width, step.precision, step.rung, reply["cost_ms"])
        if not first.done():
            first.set_result(None)
        if self.is_warm:
            log.info("all %d rungs are warm on every lane", len(self.rungs))

    def _finish_window(self, slot: Slot, job: Job, kind: Kind, body: bytes) -> None:
        if kind is Kind.FAILED:
            reason = json.loads(body)["error"]
            log.error("%s could not run a window: %s", slot.spec.name, reason)
            if not job.result.done():
                job.result.set_exception(InferenceFailed("the model raised an error"))
            return
        logits = wire.parse_logits(body)
        if not job.result.done():
            job.result.set_result(logits)
        self.prices.observe(slot.spec.width, job.precision, job.rung, logits.cost_ms)
        self._metrics.window(slot.spec.name, job.precision, job.rung, logits.cost_ms / 1000)

    def _lose(self, process: LaneProcess, reason: str = "its process ended") -> None:
        """A lane ended or hangs: run its window elsewhere, see that it is gone, and replace it."""
        slot = self._slot_of(process)
        if self._closing or slot is None:
            return
        log.error("lane %s (process %d) is lost: %s. Replacing it", slot.spec.name, process.pid, reason)
        turn = slot.turn
        work = slot.free()
        if isinstance(work, Job) and not work.result.done():
            if work.attempts < MAX_ATTEMPTS:
                self._queue.put_back(turn, work)
            else:
                work.result.set_exception(InferenceFailed("two lanes were lost on the same window"))
        slot.process = None
        slot.warm = {}
        slot.restarts += 1
        self._metrics.lane_restarts.labels(slot.spec.name).inc()
        if sum(each.restarts for each in self.slots) >= MAX_LOSSES_BEFORE_READY:
            for first in self._first_warm.values():
                if not first.done():
                    first.set_exception(WarmupFailed("its lanes end while they warm it; is there enough memory?"))
        process.close()
        self._spawn(self._replace(slot, process.pid))
        self._dispatch()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        """Run beside; the set keeps the task from being collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, slot: Slot, lost_pid: int) -> None:
        """Fill a slot again, with a new zygote if that is gone too; tries until it works or the server ends."""
        if self._zygote and self._zygote.process.returncode is None and not self._closing:
            await self._zygote.kill(lost_pid)  # nothing happens where it has ended already
        await asyncio.sleep(min(slot.restarts - 1, 10) * RESPAWN_PAUSE_SECONDS)
        while not self._closing and slot.process is None:
            try:
                await self._fill(slot)
            except (ModelLoadError, OSError) as error:
                log.error("cannot replace lane %s: %s", slot.spec.name, error)
                await asyncio.sleep(RESPAWN_PAUSE_SECONDS)

    async def _fill(self, slot: Slot) -> None:
        async with self._zygote_lock:
            if self._zygote is None or self._zygote.process.returncode is not None:
                self._zygote = await Zygote.start(list(self._files.values()))
            slot.process = await self._zygote.fork(slot.spec.cores, self._on_reply, self._lose)
        self._dispatch()
