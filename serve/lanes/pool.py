"""The lanes of a model as the server sees them: which are alive, warm and busy, and who runs which window next.

A core runs one lane in the foreground at a time, over all models (cores.py). Few waiting windows go to wide lanes whose
cores are idle, others to narrow ones. What a request has beyond its first windows goes to the background lanes, which
the kernel lets run where the others leave a core idle. A lane that dies or hangs is replaced, its window runs again.
"""

import asyncio
import json
import logging
import time
from collections.abc import Collection, Coroutine, Sequence

from container.precision import Precision
from model_loader import ladder, wire
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from model_loader.wire import WindowRun
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.cost import BusyShare, CostTable
from serve.lanes.fair_queue import FairQueue, Job, Priority, Ticket
from serve.lanes.lane import Slot
from serve.lanes.plan import LaneKind, Plan
from serve.lanes.precisions import Precisions
from serve.lanes.supervisor import Nursery
from serve.lanes.warmup import WarmRungs, WarmStep, WarmSteps, count_rungs
from serve.lanes.zygote_client import LaneProcess, ZygoteEnded
from serve.metrics import Metrics
from serve.qa.features import Window

log = logging.getLogger(__name__)

FOREGROUND_WINDOWS = 4  # of a request, and in one turn; the rest of a long one gives way to others
BACKGROUND_SHARE = 0.08  # of a core that a background lane gets where the foreground leaves it nothing
RUNGS_PER_RENEWAL = 4  # how often lanes of one core are born anew while the zygote warms: it costs some 50 ms
IDLE_LIMIT_SECONDS = 600  # of a pass that runs only where nothing else would
WINDOWS_PER_WARMUP = 4  # that a wide lane runs between two rungs that it warms, until its ladder is complete
MAX_ATTEMPTS = 2  # a window that was on a lane when it died runs once more; twice is the window's own fault
WARMUP_LIMIT_SECONDS = 120
HANG_FACTOR = 20  # a pass that takes so many times its price, and 5 s at least, hangs
HANG_FLOOR_SECONDS = 5
PRIORITY_OF = {
    LaneKind.NARROW: Priority.FOREGROUND,
    LaneKind.WIDE: Priority.FOREGROUND,
    LaneKind.BACKGROUND: Priority.BACKGROUND,
    LaneKind.GUARD: Priority.IDLE,
}
RESPAWN_PAUSE_SECONDS = 1  # times the restarts before this one, 10 at most: the first replacement comes at once
MAX_ZYGOTES_LOST = 3  # beside the serving: then what is warm must do


class LanePool:
    """Runs windows on lanes. Lives on the event loop; nothing here blocks or is shared with threads."""

    def __init__(self, files: Sequence[ModelFile], rungs: tuple[int, ...], plan: Plan, metrics: Metrics) -> None:
        self.rungs = rungs
        self.cores = CoreArbiter()  # shared with the pools of other models where there are any
        self.slots = [Slot(spec) for spec in plan.lanes]
        self._foreground = [slot for slot in self.slots if PRIORITY_OF[slot.spec.kind] is Priority.FOREGROUND]
        self._wide = [slot for slot in self.slots if slot.spec.kind is LaneKind.WIDE]
        self.prices = CostTable()
        self.parallel = plan.parallel
        self.precisions = Precisions(files)
        self._steps = WarmSteps(rungs)
        self._nursery = Nursery(max(rungs), self.prices)
        self._has_background = any(slot.spec.kind is LaneKind.BACKGROUND for slot in self.slots)
        self._busy = BusyShare(plan.parallel)
        self._metrics = metrics
        self._queue = FairQueue(FOREGROUND_WINDOWS)
        self._background = FairQueue()
        self._idle = FairQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ladder: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def has_live_lane(self) -> bool:
        """Whether a lane is alive that can answer anything."""
        return any(slot.process is not None for slot in self.slots if slot.spec.kind is LaneKind.NARROW)

    @property
    def is_warm(self) -> bool:
        """Whether every planned rung is warm on every lane."""
        return all(slot.process and not self._is_cold(slot) for slot in self.slots)

    @property
    def pids(self) -> list[int]:
        """Process ids of the lanes."""
        births = [slot.successor for slot in self.slots if slot.successor]
        living = [slot.process for slot in self.slots if slot.process]
        return [process.pid for process in (*living, *(birth.process for birth in births))]

    @property
    def waiting(self) -> int:
        """Windows in the queue."""
        return len(self._queue) + len(self._background)

    def start(self) -> None:
        """Begin to bring up the lanes; self.precisions tells how far they are."""
        self.precisions.open()
        self.cores.enter(self)
        self._spawn(self._bring_up())

    def withdraw(self, precision: Precision) -> None:
        """Serve this precision no more."""
        self.precisions.withdraw(precision)
        self._nursery.forget(precision)
        waiting = (self._queue, self._background, self._idle)
        for job in [job for queue in waiting for job in queue.take_out(precision)]:
            if not job.result.done():
                job.result.set_exception(PrecisionUnavailable(f"version: {precision} is served no more"))

    async def close(self) -> None:
        """End all lanes."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for slot in self.slots:
            for process in (slot.process, slot.successor and slot.successor.process):
                if process:
                    process.close()
        await self._nursery.close()
        self.cores.leave(self)

    # Prices

    def price_ms(self, precision: Precision, windows: Sequence[Window]) -> float:
        """What these windows cost on narrow lanes, lane milliseconds."""
        return sum(self.prices.price_ms(1, precision, len(window.input_ids)) for window in windows)

    def wait_ms(self, windows: int) -> float:
        """How long others keep the lanes before a new request of so many windows is through."""
        own_ms = self.work_ms(windows)
        return (own_ms + self.cores.work_ms_beside(self, windows, own_ms)) / self.parallel

    def work_ms(self, windows: int) -> float:
        """Lane milliseconds of this model's own before a new request of so many windows."""
        now = time.perf_counter()
        running = sum(
            max(0.0, slot.work.price_ms - (now - slot.work.started_at) * 1000)
            for slot in self.slots
            if isinstance(slot.work, Job) and slot.work.priority is Priority.FOREGROUND
        )
        behind = self._background.wait_ms(windows - FOREGROUND_WINDOWS) if windows > FOREGROUND_WINDOWS else 0.0
        return running + self._queue.wait_ms(windows) + behind

    def alone_ms(self, lane_ms: float, windows: int) -> float:
        """Wall-clock of so much work on an idle server."""
        return lane_ms / max(1, min(self.parallel, windows))

    def slowdown(self, windows: int) -> float:
        """How many times longer than alone a request of so many windows takes beside what runs in the foreground."""
        if windows <= FOREGROUND_WINDOWS or not self._has_background:
            return 1.0
        return 1 / max(1 - self._busy.share(), BACKGROUND_SHARE)

    # Windows

    def submit(self, ticket: Ticket, precision: Precision, windows: Sequence[Window]) -> list[Job]:
        """Queue windows of a request; each job's result comes when a lane has run it."""
        jobs = []
        for window in windows:
            ticket.windows += 1
            behind = self._has_background and ticket.windows > FOREGROUND_WINDOWS
            jobs.append(self._add(ticket, precision, window, Priority.BACKGROUND if behind else Priority.FOREGROUND))
        self.dispatch()
        return jobs

    def submit_idle(self, ticket: Ticket, precision: Precision, windows: Sequence[Window]) -> list[Job]:
        """Queue windows of no request, for the guard lane: each runs when nothing waits and its core is idle."""
        jobs = [self._add(ticket, precision, window, Priority.IDLE) for window in windows]
        self.dispatch()
        return jobs

    def _add(self, ticket: Ticket, precision: Precision, window: Window, priority: Priority) -> Job:
        future = asyncio.get_running_loop().create_future()
        price_ms = self.price_ms(precision, (window,))
        job = Job(precision, window, price_ms, future, priority, submitted_at=time.perf_counter())
        self._queue_of(priority).add(ticket, job)
        return job

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Forget those of a request's windows that still wait."""
        self._queue.drop(ticket, jobs)
        self._background.drop(ticket, jobs)
        self._idle.drop(ticket, jobs)

    def _queue_of(self, priority: Priority) -> FairQueue:
        queues = {Priority.BACKGROUND: self._background, Priority.IDLE: self._idle}
        return queues.get(priority, self._queue)

    def dispatch(self) -> bool:
        """Give every free lane that can do something its work; whether any got some."""
        has_begun = False
        while self._has_work and (assignment := self._next_assignment()):
            self._begin(*assignment)
            has_begun = True
        return has_begun

    @property
    def _has_work(self) -> bool:
        """Whether windows wait, or a wide lane is not warm; with many models most have none."""
        if self._closing:
            return False
        return bool(self.waiting or self._idle) or any(map(self._is_cold, self._wide))

    def _is_cold(self, slot: Slot) -> bool:
        return count_rungs(slot.warm, self.precisions.files) < len(self.rungs) * len(self.precisions.files)

    def busy_cores(self) -> frozenset[int]:
        """Cores on which windows run in the foreground now. A warm-up, which can take a second, keeps no other model
        from a core: it shares it, as the zygote's does."""
        return frozenset().union(*(slot.spec.cores for slot in self._foreground if isinstance(slot.work, Job)))

    def _next_assignment(self) -> tuple[Slot, WarmStep | Job, Ticket] | None:
        """Who does what next; None when no free lane has anything to do."""
        free = self._free_slots()
        for slot in free:
            if slot.windows_since_warmup >= WINDOWS_PER_WARMUP and (step := self._next_step_of(slot)):
                return slot, step, Ticket()
            queue = self._queue_of(PRIORITY_OF[slot.spec.kind])
            found = queue.pop(lambda job, slot=slot: self._can_run(slot, job))  # type: ignore[misc]
            if found:
                ticket, job = found
                return slot, job, ticket
        # Nothing waits that could run: a wide lane warms another rung.
        return next(((slot, step, Ticket()) for slot in free if (step := self._next_step_of(slot))), None)

    def _free_slots(self) -> list[Slot]:
        """Idle lanes whose cores no lane in the foreground uses; wide ones first where they are enough for all.

        Then the background's, and the guard's where all lanes of its core are idle and nothing waits.
        """
        busy = self.cores.busy_beside(self).union(*(slot.spec.cores for slot in self._foreground if slot.work))
        free = [slot for slot in self._foreground if slot.is_idle and not slot.spec.cores & busy]
        few = len(self._queue) <= sum(slot.spec.kind is LaneKind.WIDE for slot in free)
        free.sort(key=lambda slot: slot.spec.width, reverse=few)
        free += [slot for slot in self.slots if slot.spec.kind is LaneKind.BACKGROUND and slot.is_idle]
        if self._idle and not self.waiting:
            free += [slot for slot in self.slots if slot.spec.kind is LaneKind.GUARD and self._is_undisturbed(slot)]
        return free

    def _is_undisturbed(self, slot: Slot) -> bool:
        return slot.is_idle and all(other.work is None for other in self.slots if other.spec.cores & slot.spec.cores)

    def _can_run(self, slot: Slot, job: Job) -> bool:
        return slot.rung_for(job.precision, len(job.window.input_ids)) is not None

    def _begin(self, slot: Slot, work: WarmStep | Job, ticket: Ticket) -> None:
        process = slot.process
        assert process is not None
        slot.work, slot.ticket = work, ticket
        process.send(self._frame(slot, work))
        limit = self._limit_seconds(work)
        slot.watchdog = asyncio.get_running_loop().call_later(limit, self._lose, process, f"it hangs for {limit:.0f} s")

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
            self._steps.want(WarmStep(work.precision, ideal))
        return wire.run_frame(WindowRun(work.precision, rung, work.window.context_offset, work.window.input_ids))

    def _limit_seconds(self, work: WarmStep | Job) -> float:
        if isinstance(work, WarmStep):
            return WARMUP_LIMIT_SECONDS
        if work.priority is Priority.IDLE:
            return IDLE_LIMIT_SECONDS
        limit = max(HANG_FLOOR_SECONDS, HANG_FACTOR * work.price_ms / 1000)
        return limit / BACKGROUND_SHARE if work.priority is Priority.BACKGROUND else limit

    def _on_reply(self, process: LaneProcess, kind: wire.FrameKind, body: bytes) -> None:
        slot = self._slot_of(process)
        if slot is None:
            return  # the lane was given up meanwhile
        work = slot.free()
        if isinstance(work, WarmStep):
            self._finish_warmup(slot, work, kind, body)
        elif work is not None:
            self._finish_window(slot, work, kind, body)
        slot.take_over()
        self.cores.offer()

    def _finish_warmup(self, slot: Slot, step: WarmStep, kind: wire.FrameKind, body: bytes) -> None:
        reply = json.loads(body)
        if kind is wire.FrameKind.FAILED:
            self._cannot_warm(step, reply["error"])
            return
        slot.warm.setdefault(step.precision, set()).add(step.rung)
        self.prices.observe(slot.spec.width, step.precision, step.rung, reply["cost_ms"])
        self._say_if_warm()

    def _finish_window(self, slot: Slot, job: Job, kind: wire.FrameKind, body: bytes) -> None:
        if kind is wire.FrameKind.FAILED:
            reason = json.loads(body)["error"]
            log.error("%s could not run a window: %s", slot.spec.name, reason)
            if not job.result.done():
                job.result.set_exception(InferenceFailed("the model raised an error"))
            return
        logits = wire.parse_logits(body)
        if not job.result.done():
            job.result.set_result(logits)
        self._metrics.window(slot.spec.name, job.precision, job.rung, logits.cost_ms / 1000)
        if job.priority is Priority.FOREGROUND:  # elsewhere a pass takes as long as the others let it
            self.prices.observe(slot.spec.width, job.precision, job.rung, logits.cost_ms)
            self._busy.add(logits.cost_ms * slot.spec.width)

    # Warm-up

    async def _bring_up(self) -> None:
        """Bring up each precision on the lanes of one core, then the wide lanes, then warm the rest of the ladder."""
        for precision, file in list(self.precisions.files.items()):
            try:
                await self._bring(file)
            except Exception as error:
                self.precisions.fail(error)
            else:
                self.precisions.set_warm(precision)
            await self.precisions.until_decided(precision)
        for slot in self.slots:
            if slot.spec.kind is LaneKind.WIDE:
                await self._fill(slot)
        self._continue_ladder()

    async def _bring(self, file: ModelFile) -> None:
        """Bring up one precision; while another is served, a zygote that dies on the way is no reason to give up.

        Raises: ModelLoadError.
        """
        for attempt in range(MAX_ZYGOTES_LOST):
            try:
                await self._nursery.bring(file)
                await self._renew_all(LaneKind.NARROW, LaneKind.BACKGROUND, LaneKind.GUARD)
                return
            except ZygoteEnded as error:
                if not self.precisions.accepted or attempt == MAX_ZYGOTES_LOST - 1:
                    raise
                log.error("%s is not up yet: %s", file.precision, error)

    def _continue_ladder(self) -> None:
        if self._ladder is None or self._ladder.done():
            self._ladder = self._spawn(self._warm_ladder())

    async def _warm_ladder(self) -> None:
        """Warm rung after rung in the zygote, and let lanes of one core be born anew with them."""
        lost = fresh = 0
        while step := self._next_step(self._nursery.warm):
            try:
                await self._nursery.warm_rung(step)
                fresh += 1
                if fresh >= RUNGS_PER_RENEWAL or self._next_step(self._nursery.warm) is None:
                    await self._renew_all(LaneKind.NARROW, LaneKind.BACKGROUND, LaneKind.GUARD)
                    fresh = 0
            except ZygoteEnded as error:
                lost += 1
                log.error("the ladder is not warm yet: %s", error)
                if lost == MAX_ZYGOTES_LOST:
                    return
            except WarmupFailed as error:
                self._cannot_warm(step, str(error))
            except (ModelLoadError, OSError) as error:
                log.error("the ladder stays as it is: %s", error)
                return

    def _next_step_of(self, slot: Slot) -> WarmStep | None:
        return self._next_step(slot.warm) if slot.spec.kind is LaneKind.WIDE else None

    def _next_step(self, warm: WarmRungs) -> WarmStep | None:
        return self._steps.next(warm, self.precisions.accepted)

    def _cannot_warm(self, step: WarmStep, reason: str) -> None:
        log.error("%s is served no more, it cannot run %d tokens: %s", step.precision, step.rung, reason)
        if step.precision in self.precisions.files:
            self.withdraw(step.precision)

    def _say_if_warm(self) -> None:
        if self.is_warm:
            log.info("all %d rungs are warm on every lane", len(self.rungs))

    # Lanes come and go

    async def _renew_all(self, *kinds: LaneKind) -> None:
        """New processes for the lanes of these kinds, where those have more rungs warm than the old ones."""
        for slot in self.slots:
            if slot.spec.kind in kinds:
                await self._renew(slot)
        self._say_if_warm()

    async def _renew(self, slot: Slot) -> None:
        served = self.precisions.files
        if slot.process and count_rungs(self._nursery.warm, served) <= count_rungs(slot.warm, served):
            return
        birth = await self._nursery.bear(slot.spec, self._on_reply, self._lose)
        slot.renew(birth)
        self.dispatch()

    def _slot_of(self, process: LaneProcess) -> Slot | None:
        return next((slot for slot in self.slots if slot.process is process), None)

    def _lose(self, process: LaneProcess, reason: str = "its process ended") -> None:
        """A lane ended or hangs: run its window elsewhere, see that it is gone, and replace it."""
        for each in self.slots:
            if each.successor and each.successor.process is process:
                each.successor = None  # the next renewal brings another
        slot = self._slot_of(process)
        if self._closing or slot is None:
            return
        log.error("lane %s (process %d) is lost: %s. Replacing it", slot.spec.name, process.pid, reason)
        ticket = slot.ticket
        work = slot.free()
        if isinstance(work, Job) and not work.result.done():
            if work.attempts < MAX_ATTEMPTS:
                self._queue_of(work.priority).put_back(ticket, work)
            else:
                work.result.set_exception(InferenceFailed("two lanes were lost on the same window"))
        slot.process = None
        slot.warm = {}
        slot.restarts += 1
        self._metrics.lane_restarts.labels(slot.spec.name).inc()
        process.close()
        slot.take_over()
        self._spawn(self._replace(slot, process.pid))
        self.cores.offer()

    async def _replace(self, slot: Slot, lost_pid: int) -> None:
        """Fill a slot again, with a new zygote if that is gone too."""
        await self._nursery.kill_lane(lost_pid)
        await asyncio.sleep(min(slot.restarts - 1, 10) * RESPAWN_PAUSE_SECONDS)
        await self._fill(slot)
        self._continue_ladder()

    async def _fill(self, slot: Slot) -> None:
        """Tries until it works or the server ends."""
        while slot.process is None:
            try:
                await self._renew(slot)
            except (ModelLoadError, OSError) as error:
                log.error("cannot start lane %s: %s", slot.spec.name, error)
                await asyncio.sleep(RESPAWN_PAUSE_SECONDS)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run beside; the set keeps the task from being collected."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
