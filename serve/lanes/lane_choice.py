"""Which free lane gets which work next. This module decides; pool.py starts the work.

A core runs one foreground lane at a time. When few windows wait, wide lanes run them; otherwise narrow lanes do. The
later windows of a long request go to background lanes, and the guard lane runs only while its core is idle. A wide lane
without windows warms its next rung. A lane of one core runs several waiting windows in one call where that pays.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from model_loader.ladder import Batch, WarmStep
from serve.lanes.batches.batches import Batches
from serve.lanes.fair_queue import FairQueue, Job, Priority, PriorityQueues, Ticket
from serve.lanes.lane import Lane
from serve.lanes.plan import LaneKind
from serve.lanes.precisions import Precisions
from serve.lanes.warmup.order import WarmupOrder, count_shapes

WINDOWS_PER_WARMUP = 4  # a wide lane runs this many windows before it warms its next rung
BATCH_LOOKAHEAD = 64  # requests among which a window finds others for its call: looking takes microseconds
PRIORITY_OF = {
    LaneKind.NARROW: Priority.FOREGROUND,
    LaneKind.WIDE: Priority.FOREGROUND,
    LaneKind.BACKGROUND: Priority.BACKGROUND,
    LaneKind.GUARD: Priority.IDLE,
}


class Call(NamedTuple):
    """One call of the model: windows with their requests' tickets, and the rung that each window is padded to."""

    windows: Sequence[tuple[Ticket, Job]]
    rung: int


class Assignment(NamedTuple):
    """Work for a lane: a rung to warm, or windows to run."""

    lane: Lane
    work: WarmStep | Call


class LaneChoice:
    """Chooses among the lanes of one model."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        queues: PriorityQueues,
        precisions: Precisions,
        rungs: tuple[int, ...],
        batches: Batches,
    ) -> None:
        self.warmup_order = WarmupOrder(rungs)
        self._lanes = lanes
        self._foreground = [lane for lane in lanes if PRIORITY_OF[lane.spec.kind] is Priority.FOREGROUND]
        self._wide = [lane for lane in lanes if lane.spec.kind is LaneKind.WIDE]
        self._lanes_of_one_core = max(1, sum(lane.spec.kind is LaneKind.NARROW for lane in lanes))
        self._queues = queues
        self._precisions = precisions
        self._rungs = rungs
        self._batches = batches

    @property
    def has_work(self) -> bool:
        """Whether windows wait or a wide lane is not warm. If many models are loaded, most of them have no work."""
        return bool(self._queues.waiting or self._queues[Priority.IDLE]) or any(map(self.is_cold, self._wide))

    def is_cold(self, lane: Lane) -> bool:
        """Whether a rung of an offered precision is not warm on this lane."""
        offered = self._precisions.files
        return count_shapes(lane.warm, offered) < len(self._rungs) * len(offered)

    def next(self, taken: frozenset[int]) -> Assignment | None:
        """Return the next work; None if no free lane has anything to do.

        taken: the cores that other models' foreground lanes use.
        """
        free = list(self._free_lanes(taken))
        for lane in free:
            if lane.windows_since_warmup >= WINDOWS_PER_WARMUP and (step := self._next_step(lane)):
                return Assignment(lane, step)
            if call := self._next_call(lane):
                return Assignment(lane, call)
        return next((Assignment(lane, step) for lane in free if (step := self._next_step(lane))), None)

    def busy_cores(self) -> frozenset[int]:
        """Return the cores on which foreground windows run now.

        Cores on which a lane only warms are not included, because a warm-up can take a second, and other models may use
        these cores meanwhile.
        """
        return frozenset().union(*(lane.spec.cores for lane in self._foreground if lane.jobs))

    def _free_lanes(self, taken: frozenset[int]) -> Iterator[Lane]:
        """Yield the idle lanes whose cores no foreground lane uses, in the order in which they get work.

        Wide lanes come first if they are enough for all waiting windows. Background lanes follow, and then the guard
        lane, if nothing waits and all lanes of its core are idle.
        """
        busy = taken.union(*(lane.spec.cores for lane in self._foreground if lane.has_work))
        free = [lane for lane in self._foreground if lane.is_idle and not lane.spec.cores & busy]
        is_wide_enough = len(self._queues[Priority.FOREGROUND]) <= sum(lane.spec.kind is LaneKind.WIDE for lane in free)
        yield from sorted(free, key=lambda lane: lane.spec.width, reverse=is_wide_enough)
        yield from (lane for lane in self._lanes if lane.spec.kind is LaneKind.BACKGROUND and lane.is_idle)
        if self._queues[Priority.IDLE] and not self._queues.waiting:
            yield from (lane for lane in self._lanes if lane.spec.kind is LaneKind.GUARD and self._is_undisturbed(lane))

    def _is_undisturbed(self, lane: Lane) -> bool:
        return lane.is_idle and not any(other.has_work for other in self._lanes if other.spec.cores & lane.spec.cores)

    def _next_call(self, lane: Lane) -> Call | None:
        """Remove and return the next window that fits a warm rung of this lane, and others for the same call."""
        queue = self._queues[PRIORITY_OF[lane.spec.kind]]
        first = queue.pop(lambda job: _rung_for(lane, job) is not None)
        if first is None:
            return None
        if batch := self._batch(lane, queue, first):
            return batch
        rung = _rung_for(lane, first[1])
        assert rung is not None  # the queue gave a window that fits
        return Call([first], rung)

    def _batch(self, lane: Lane, queue: FairQueue, first: tuple[Ticket, Job]) -> Call | None:
        """Return a call with the first window and others that wait, in the order of the queue; None if none pays.

        Each lane takes its share of what waits, so that an idle server runs single windows. A window whose call has
        failed runs alone, because the window may be the cause.
        """
        job = first[1]
        if lane.spec.kind is LaneKind.GUARD or job.runs_alone or not len(queue):
            return None
        share = math.ceil((len(queue) + 1) / self._lanes_of_one_core)
        warm = lane.warm_batches.get(job.precision, ())
        shapes = self._batches.for_window(job.precision, len(job.input.input_ids), warm, share)
        if not shapes:
            return None
        rung, most = shapes[0].rung, shapes[0].windows
        windows = [first, *queue.look(lambda other: self._may_join(other, job, rung), most - 1, BATCH_LOOKAHEAD)]
        batch = next((each for each in shapes if self._pays(each, windows)), None)
        if batch is None:
            return None
        return Call([first, *((ticket, queue.take(ticket)) for ticket, _ in windows[1 : batch.windows])], rung)

    def _may_join(self, job: Job, first: Job, rung: int) -> bool:
        is_alike = job.precision == first.precision and not job.runs_alone
        return is_alike and self._batches.holds(rung, len(job.input.input_ids))

    def _pays(self, batch: Batch, windows: Sequence[tuple[Ticket, Job]]) -> bool:
        if len(windows) < batch.windows:
            return False
        jobs = [job for _, job in windows[: batch.windows]]
        return self._batches.pays(jobs[0].precision, batch, [job.cost_ms for job in jobs])

    def _next_step(self, lane: Lane) -> WarmStep | None:
        """Return what a wide lane warms next. Lanes of one core are forked warm."""
        if lane.spec.kind is not LaneKind.WIDE or not self.is_cold(lane):
            return None
        return self.warmup_order.next(lane.warm, self._precisions.accepted)


def _rung_for(lane: Lane, job: Job) -> int | None:
    return lane.rung_for(job.precision, len(job.input.input_ids))
