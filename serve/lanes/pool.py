"""The lanes of one model: accept windows, give each free lane its next work, and handle the lanes' replies.

lane_choice.py decides which lane gets which work. supervisor.py starts and replaces the lanes.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Sequence

from container.precision import Precision
from model_loader import ladder
from model_loader.ladder import Batch, WarmStep
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput
from model_loader.wire import RunResult, Warmed
from serve.errors import InferenceFailed, PrecisionUnavailable
from serve.lanes.batches.batches import Batches
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.cost import BusyShare, CostTable, hang_limit_seconds
from serve.lanes.fair_queue import Job, Priority, PriorityQueues, Ticket
from serve.lanes.lane import Lane, LaneProcess
from serve.lanes.lane_choice import Call, LaneChoice
from serve.lanes.plan import LaneKind, Plan
from serve.lanes.precisions import Precisions
from serve.lanes.warmup.order import WARMUP_LIMIT_SECONDS
from serve.metrics import Metrics

log = logging.getLogger(__name__)

MAX_LANES_LOST = 2  # the first loss of a lane may be the lane's fault, a second one is the window's


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
        self.batches = Batches(rungs, self.costs, plan.max_batch_windows, plan.batch_shapes)
        self.choice = LaneChoice(self.lanes, self._queues, self.precisions, rungs, self.batches)
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
            max(0.0, lane.expected_ms - (now - lane.jobs[0].started_at) * 1000)
            for lane in self.lanes
            if lane.jobs and lane.jobs[0].priority is Priority.FOREGROUND
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
        for job in (jobs := [self._new_job(precision, each, Priority.IDLE) for each in inputs]):
            self._queues[Priority.IDLE].add(ticket, job)
        self.dispatch()
        return jobs

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Remove the windows of this request that still wait."""
        self._queues.drop(ticket, jobs)

    def withdraw(self, precision: Precision, reason: str) -> None:
        """Stop serving this precision, or never start. Its waiting windows fail."""
        self.precisions.withdraw(precision, reason)
        for job in self._queues.take_out(precision):
            _fail(job, PrecisionUnavailable(f"precision: {precision} is no longer served"))

    def put_back(self, lane: Lane) -> None:
        """Queue the windows of a lost lane again; a window that has lost two lanes fails."""
        for job in lane.jobs:
            job.lanes_lost += 1
        self._run_again(lane)

    def _run_again(self, lane: Lane) -> None:
        """Queue the windows of a lost or failed call again, each in a call of its own."""
        tickets = lane.tickets
        jobs, _ = lane.release()
        for ticket, job in reversed(list(zip(tickets, jobs, strict=True))):
            job.runs_alone = True
            if job.lanes_lost >= MAX_LANES_LOST:
                _fail(job, InferenceFailed("two lanes were lost while they ran the same window"))
            elif not job.result.done():
                self._queues[job.priority].put_back(ticket, job)

    def _new_job(self, precision: Precision, window: ModelInput, priority: Priority) -> Job:
        cost_ms, result = self.cost_ms(precision, (window,)), asyncio.get_running_loop().create_future()
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
                self._run(assignment.lane, assignment.work)
            has_begun = True
        return has_begun

    def _warm(self, lane: Lane, step: WarmStep) -> None:
        assert lane.process is not None
        lane.warming, lane.windows_since_warmup = step, 0
        lane.process.warm(step)
        lane.watch(WARMUP_LIMIT_SECONDS)

    def _run(self, lane: Lane, call: Call) -> None:
        assert lane.process is not None
        lane.tickets, lane.jobs = zip(*call.windows, strict=True)
        lane.windows_since_warmup += len(lane.jobs)
        first, now = lane.jobs[0], time.perf_counter()
        for job in lane.jobs:
            job.begin(lane.spec.name, call.rung, len(lane.jobs), now)
        lane.process.run(first.precision, call.rung, [job.input for job in lane.jobs])
        lane.expected_ms = first.cost_ms
        if len(lane.jobs) > 1:
            lane.expected_ms = self.batches.cost_ms(first.precision, Batch(call.rung, len(lane.jobs)))
        else:
            ideal = ladder.rung_for(len(first.input.input_ids), self.rungs)
            if ideal is not None and ideal < call.rung:
                self.choice.warmup_order.want(WarmStep(first.precision, ideal))
        lane.watch(hang_limit_seconds(lane.expected_ms, first.priority))

    # Handle replies (lane.LaneReplies)

    def on_result(self, process: LaneProcess, result: RunResult) -> None:
        """Hand the logits to the requests, and record what the windows cost."""
        lane = self.lane_of(process)
        if lane is None:
            return  # the lane was replaced meanwhile
        jobs, _ = lane.release()
        now = time.perf_counter()
        for job, logits in zip(jobs, result.logits, strict=True):
            job.end(logits, now)
            self._metrics.window(lane.spec.kind.value, job.precision, job.rung, result.cost_ms / 1000 / len(jobs))
        if len(jobs) > 1:
            self._metrics.batches.labels(str(len(jobs))).inc()
        if jobs and jobs[0].priority is Priority.FOREGROUND:  # other lanes slow background and guard lanes
            if len(jobs) == 1:
                self.costs.observe(lane.spec.width, jobs[0].precision, jobs[0].rung, result.cost_ms)
            self.busy.add(result.cost_ms * lane.spec.width)
        self._go_on(lane)

    def on_warm(self, process: LaneProcess, warmed: Warmed) -> None:
        """Use the rung from now on."""
        lane = self.lane_of(process)
        if lane is None:
            return
        _, step = lane.release()
        assert step is not None
        lane.warm[step.precision] = ladder.with_rung(lane.warm.get(step.precision, ()), step.rung)
        self.costs.observe(lane.spec.width, step.precision, step.rung, warmed.cost_ms)
        self._go_on(lane)

    def on_failure(self, process: LaneProcess, reason: str) -> None:
        """Fail the windows, or stop serving the precision that cannot be warmed."""
        lane = self.lane_of(process)
        if lane is None:
            return
        if lane.warming:
            self.cannot_warm(lane.warming, reason)
        else:
            log.error("lane %s could not run a window: %s", lane.spec.name, reason)
        if len(lane.jobs) > 1:  # each runs alone now, and only the one that raised the error fails
            self.batches.note_failure(lane.jobs[0].precision, Batch(lane.jobs[0].rung, len(lane.jobs)))
            self._run_again(lane)
        for job in lane.release()[0]:
            _fail(job, InferenceFailed("the model raised an error"))
        self._go_on(lane)

    def cannot_warm(self, step: WarmStep, reason: str) -> None:
        """Stop serving a precision that cannot run one of its rungs. A batch that cannot run is only not used."""
        if step.windows > 1:
            self.batches.drop(step.precision, Batch(step.rung, step.windows))
            log.warning(
                "a call of %d windows of %d tokens cannot run in %s, so the server does not use it: %s",
                *(step.windows, step.rung, step.precision, reason),
            )
            return
        log.error(
            "%s is no longer served, because it cannot run a window of %d tokens: %s", step.precision, step.rung, reason
        )
        if step.precision in self.precisions.files:
            self.withdraw(step.precision, f"it cannot run a window of {step.rung} tokens; the log says why")

    def lane_of(self, process: LaneProcess) -> Lane | None:
        """Return the lane that a process fills; None for a process that was replaced."""
        return next((lane for lane in self.lanes if lane.process is process), None)

    def _go_on(self, lane: Lane) -> None:
        """The lane is idle: replace its process if a successor waits, and give out work."""
        lane.take_over()
        self.cores.offer_cores()


def _fail(job: Job, error: Exception) -> None:
    if not job.result.done():
        job.result.set_exception(error)
