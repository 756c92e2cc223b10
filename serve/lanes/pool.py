"""The lanes of one model: accept windows, give each free lane its next work, and handle the lanes' replies.

lane_choice.py decides which lane gets which work. supervisor.py starts the lanes, and replaces those that are lost.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence

from container.precision import Precision
from model_loader import ladder
from model_loader.ladder import WarmStep
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput
from model_loader.wire import RunResult
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.cost import BusyShare, CostTable, hang_limit_seconds
from serve.lanes.fair_queue import Job, Priority, PriorityQueues, Ticket
from serve.lanes.lane import Lane, LaneProcess
from serve.lanes.lane_choice import LaneChoice
from serve.lanes.plan import LaneKind, Plan
from serve.lanes.precisions import Precisions
from serve.lanes.warmup import WARMUP_LIMIT_SECONDS
from serve.metrics import Metrics

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 2  # the first loss of a lane may be the lane's fault, a second one is the window's


class LanePool:
    """Runs windows on lanes. It lives on the event loop: nothing here blocks or is shared with threads."""

    def __init__(
        self, files: Sequence[ModelFile], rungs: tuple[int, ...], plan: Plan, cores: CoreArbiter, metrics: Metrics
    ) -> None:
        self.rungs = rungs
        self.lanes = [Lane(spec) for spec in plan.lanes]
        self.costs = CostTable()
        self.precisions = Precisions(files)
        self.parallel = plan.parallel
        self.has_background = any(lane.spec.kind is LaneKind.BACKGROUND for lane in self.lanes)
        self.cores = cores
        self.busy = BusyShare(plan.parallel)
        self._metrics = metrics
        self._queues = PriorityQueues(self.has_background)
        self.choice = LaneChoice(self.lanes, self._queues, self.precisions, rungs)
        self._is_open = False

    def open(self) -> None:
        """Begin to use the cores."""
        self._is_open = True
        self.cores.join(self)

    def close(self) -> None:
        """Give no more work to lanes, and leave the cores to other models."""
        self._is_open = False
        self.cores.leave(self)

    # State

    @property
    def waiting(self) -> int:
        """The number of windows of requests that wait."""
        return self._queues.waiting

    def busy_cores(self) -> frozenset[int]:
        """Return the cores on which foreground windows run now."""
        return self.choice.busy_cores()

    def cost_ms(self, precision: Precision, inputs: Sequence[ModelInput]) -> float:
        """Return the expected cost of these windows on narrow lanes, in lane-milliseconds."""
        return sum(self.costs.cost_ms(1, precision, len(each.input_ids)) for each in inputs)

    def work_ahead_ms(self, windows: int) -> float:
        """Return the lane-milliseconds of this model's own work ahead of a new request of `windows` windows."""
        now = time.perf_counter()
        running = sum(
            max(0.0, job.cost_ms - (now - job.started_at) * 1000)
            for lane in self.lanes
            for job in lane.jobs
            if job.priority is Priority.FOREGROUND
        )
        return running + self._queues.work_ahead_ms(windows)

    # Accept windows

    def submit(self, ticket: Ticket, precision: Precision, inputs: Sequence[ModelInput]) -> list[Job]:
        """Queue windows of a request. Each job's result comes when a lane has run its window."""
        jobs = [self._new_job(precision, each, Priority.FOREGROUND) for each in inputs]
        for job in jobs:
            self._queues.add_next(ticket, job)
        self.dispatch()
        return jobs

    def submit_idle(self, ticket: Ticket, precision: Precision, inputs: Sequence[ModelInput]) -> list[Job]:
        """Queue windows that belong to no request. Each runs when no window waits and the guard lane's core is idle."""
        jobs = [self._new_job(precision, each, Priority.IDLE) for each in inputs]
        for job in jobs:
            self._queues[Priority.IDLE].add(ticket, job)
        self.dispatch()
        return jobs

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Remove the windows of this request that still wait."""
        self._queues.drop(ticket, jobs)

    def withdraw(self, precision: Precision) -> None:
        """Stop serving this precision, or never start. Its waiting windows fail."""
        self.precisions.withdraw(precision)
        for job in self._queues.take_out(precision):
            _fail(job, PrecisionUnavailable(f"precision: {precision} is no longer served"))

    def put_back(self, lane: Lane) -> None:
        """Queue the windows of a lost lane again; a window that has lost two lanes fails."""
        ticket = lane.ticket
        jobs, _ = lane.release()
        for job in reversed(jobs):
            if job.attempts >= MAX_ATTEMPTS:
                _fail(job, InferenceFailed("two lanes were lost while they ran the same window"))
            elif not job.result.done():
                self._queues[job.priority].put_back(ticket, job)

    def _new_job(self, precision: Precision, window: ModelInput, priority: Priority) -> Job:
        result = asyncio.get_running_loop().create_future()
        cost_ms = self.cost_ms(precision, (window,))
        return Job(precision, window, cost_ms, result, priority, submitted_at=time.perf_counter())

    # Give work to lanes

    def dispatch(self) -> bool:
        """Give work to every free lane that can do something; return whether any lane got some."""
        has_begun = False
        while self._is_open and self.choice.has_work:
            assignment = self.choice.next(self.cores.cores_of_others(self))
            if assignment is None:
                break
            if isinstance(assignment.work, WarmStep):
                self._warm(assignment.lane, assignment.work)
            else:
                self._run(assignment.lane, *assignment.work)
            has_begun = True
        return has_begun

    def _warm(self, lane: Lane, step: WarmStep) -> None:
        assert lane.process is not None
        lane.warming, lane.windows_since_warmup = step, 0
        lane.process.warm(step)
        self._watch(lane, WARMUP_LIMIT_SECONDS)

    def _run(self, lane: Lane, ticket: Ticket, job: Job, rung: int) -> None:
        assert lane.process is not None
        lane.jobs, lane.ticket = (job,), ticket
        lane.windows_since_warmup += 1
        job.rung, job.started_at = rung, time.perf_counter()
        job.attempts += 1
        lane.process.run(job.precision, rung, (job.input,))
        self._watch(lane, hang_limit_seconds(job.cost_ms, job.priority))
        ideal = ladder.rung_for(len(job.input.input_ids), self.rungs)
        if ideal is not None and ideal < rung:
            self.choice.warmup_order.want(WarmStep(job.precision, ideal))

    def _watch(self, lane: Lane, limit_seconds: float) -> None:
        """Close the lane's process if it has not replied in time; the supervisor then replaces it."""
        assert lane.process is not None
        lane.watchdog = asyncio.get_running_loop().call_later(
            limit_seconds, _close_hung, lane, lane.process, limit_seconds
        )

    # Handle replies (lane.LaneReplies)

    def on_result(self, process: LaneProcess, result: RunResult) -> None:
        """Hand the logits to the requests, and record what the windows cost."""
        lane = self.lane_of(process)
        if lane is None:
            return  # the lane was replaced meanwhile
        jobs, _ = lane.release()
        for job, logits in zip(jobs, result.logits, strict=True):
            if not job.result.done():
                job.result.set_result(logits)
            cost_ms = result.cost_ms / len(jobs)
            self._metrics.window(lane.spec.name, job.precision, job.rung, cost_ms / 1000)
            if job.priority is Priority.FOREGROUND:  # other lanes slow the passes of background and guard lanes
                self.costs.observe(lane.spec.width, job.precision, job.rung, cost_ms)
                self.busy.add(cost_ms * lane.spec.width)
        self._go_on(lane)

    def on_warm(self, process: LaneProcess, cost_ms: float) -> None:
        """Use the rung from now on."""
        lane = self.lane_of(process)
        if lane is None:
            return
        _, step = lane.release()
        assert step is not None
        lane.warm[step.precision] = ladder.with_rung(lane.warm.get(step.precision, ()), step.rung)
        self.costs.observe(lane.spec.width, step.precision, step.rung, cost_ms)
        self._go_on(lane)

    def on_failure(self, process: LaneProcess, reason: str) -> None:
        """Fail the windows, or stop serving the precision that cannot be warmed."""
        lane = self.lane_of(process)
        if lane is None:
            return
        jobs, step = lane.release()
        if step is not None:
            self.cannot_warm(step, reason)
        else:
            log.error("lane %s could not run a window: %s", lane.spec.name, reason)
        for job in jobs:
            _fail(job, InferenceFailed("the model raised an error"))
        self._go_on(lane)

    def cannot_warm(self, step: WarmStep, reason: str) -> None:
        """Stop serving a precision that cannot run one of its rungs."""
        log.error(
            "%s is no longer served, because it cannot run a window of %d tokens: %s", step.precision, step.rung, reason
        )
        if step.precision in self.precisions.files:
            self.withdraw(step.precision)

    def lane_of(self, process: LaneProcess) -> Lane | None:
        """Return the lane that a process fills; None for a process that was replaced."""
        return next((lane for lane in self.lanes if lane.process is process), None)

    def _go_on(self, lane: Lane) -> None:
        """The lane is idle: replace its process if a successor waits, and give out work."""
        lane.take_over()
        self.cores.offer_cores()


def _close_hung(lane: Lane, process: LaneProcess, limit_seconds: float) -> None:
    log.error(
        "lane %s (process %d) has not replied for %.0f s; the server ends this process",
        *(lane.spec.name, process.pid, limit_seconds),
    )
    process.kill()


def _fail(job: Job, error: Exception) -> None:
    if not job.result.done():
        job.result.set_exception(error)
