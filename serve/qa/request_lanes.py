"""The lanes as one request sees them. The data path uses only this, so it runs in the HTTP process or beside it."""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from container.precision import Precision
from model_loader.model_io import ModelInput
from serve.errors import DeadlineExceeded
from serve.lanes.admission import Admission, Permit
from serve.lanes.fair_queue import Job
from serve.qa.features import Window
from serve.qa.spans import Logits
from serve.qa.window_runner import WindowRunner
from serve.tracing.tracer import MAX_PASSES, Pass

log = logging.getLogger(__name__)

GROUP_WINDOWS = 64  # that are built and queued at a time
GROUPS_IN_FLIGHT = 2  # of one request, so that the lanes need not wait for the next group

Work = Iterator[tuple[Precision, Window]]


class Demand(NamedTuple):
    """The windows of one context or passage: how many, and how many tokens the longest and the last of them have."""

    precision: Precision
    windows: int
    longest: int
    last: int


@dataclass
class Trace:
    """What happened to one HTTP request, for its log line, the metrics and its spans. Stage times in seconds.

    began: when each stage began first, by time.perf_counter(). passes: None unless the request is traced.
    """

    request_id: str = ""
    form: str = "none"  # until the body has been parsed
    failed_lines: int = 0  # of JSON Lines
    windows: int = 0
    tokens: int = 0
    rungs: list[int] = field(default_factory=list)
    precisions: set[Precision] = field(default_factory=set)
    stages: dict[str, float] = field(default_factory=dict)
    total_seconds: float | None = None  # once the response is known
    began: dict[str, float] = field(default_factory=dict)
    passes: list[Pass] | None = None

    def note_form(self, form: str) -> None:
        """Note the form of the request. That of JSON Lines stays, whatever the form of a line is."""
        if self.form == "none":
            self.form = form

    def took(self, stage: str, since: float) -> None:
        """Add the seconds since `since` to a stage."""
        self.began.setdefault(stage, since)
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - since


class RequestLanes(Protocol):
    """What the data path asks for one request."""

    async def resolve(self, wanted: Precision | None) -> Precision:
        """Return the precision to use, once requests may use it. Raises: PrecisionUnavailable."""

    async def max_tokens(self, precision: Precision, max_seq_len: int) -> int:
        """Return a number of tokens that cannot be answered in time, so that the rest need not be tokenized."""

    async def admit(self, demands: Sequence[Demand]) -> None:
        """Ask for permission to run windows, before they are built. Raises: DocumentTooLong, Overloaded."""

    def run(self, work: Work) -> AsyncIterator[tuple[Window, Logits]]:
        """Run windows, and yield each with its logits in the order of the work. Raises: RequestError."""


class PoolLanes:
    """The lanes of this process, for one request."""

    def __init__(self, pool: WindowRunner, admission: Admission, permit: Permit, trace: Trace) -> None:
        self.trace = trace
        self._pool = pool
        self._admission = admission
        self._permit = permit
        self._jobs: set[Job] = set()  # those in flight
        self._has_started = False  # whether the first window's start has been noted

    async def resolve(self, wanted: Precision | None) -> Precision:
        """Return the precision to use, once requests may use it."""
        precision = wanted or self._pool.precisions.preferred
        await self._pool.precisions.until_served(precision)
        self.trace.precisions.add(precision)
        return precision

    async def max_tokens(self, precision: Precision, max_seq_len: int) -> int:
        """Return a number of tokens that cannot be answered in time, so that the rest need not be tokenized."""
        window_ms = self._pool.costs.cost_ms(1, precision, max_seq_len)
        return self._admission.max_tokens(self._permit, max_seq_len, window_ms)

    async def admit(self, demands: Sequence[Demand]) -> None:
        """Compare the cost of the windows with the limits."""
        cost_ms = self._pool.costs.cost_ms
        total_ms = 0.0
        for precision, windows, longest, last in demands:
            total_ms += cost_ms(1, precision, last)
            if windows > 1:
                total_ms += (windows - 1) * cost_ms(1, precision, longest)
            self.trace.windows += windows
            self.trace.tokens += (windows - 1) * longest + last
        windows = sum(demand.windows for demand in demands)
        log.debug(
            "request %s asks for %d windows, which cost %.1f lane-milliseconds",
            self.trace.request_id,
            windows,
            total_ms,
        )
        self._admission.approve(self._permit, windows, total_ms)

    def run(self, work: Work) -> "_Results":
        """Run windows; at most a few batches of them exist at a time."""
        return _Results(self, work)

    def submit(self, batch: Iterable[tuple[Precision, ModelInput]]) -> list[Job]:
        """Queue some windows."""
        jobs: list[Job] = []
        for precision, group in itertools.groupby(batch, key=lambda each: each[0]):
            jobs += self._pool.submit(self._permit.ticket, precision, [window for _, window in group])
        self._jobs.update(jobs)
        return jobs

    async def result(self, job: Job) -> Logits:
        """Wait for one window, and note what happened to it."""
        logits = await job.result
        self._jobs.discard(job)
        stages, began = self.trace.stages, self.trace.began
        if not self._has_started:
            self._has_started = True
            stages["queue"] = max(stages.get("queue", 0.0), job.started_at - job.submitted_at)
            began.setdefault("queue", job.submitted_at)
            began["inference"] = min(began.get("inference", job.started_at), job.started_at)
        stages["inference"] = (
            time.perf_counter() - began["inference"]
        )  # of all lines of JSON Lines, which share a trace
        self._note(job)
        return logits.start, logits.end

    def _note(self, job: Job) -> None:
        """Note where a window has run, and when."""
        trace = self.trace
        trace.rungs.append(job.rung)
        if trace.passes is not None and len(trace.passes) < MAX_PASSES:
            trace.passes.append(Pass(job.lane, job.rung, job.windows, job.started_at, job.ended_at))
        if log.isEnabledFor(logging.DEBUG):
            log.debug(
                "request %s: a window padded to %d tokens ran on lane %s, %d in one call, for %.1f ms, after %.1f ms "
                "in the queue",
                *(trace.request_id, job.rung, job.lane, job.windows, 1000 * (job.ended_at - job.started_at)),
                1000 * (job.started_at - job.submitted_at),
            )

    def drop(self) -> None:
        """Remove the windows that still wait."""
        if self._jobs:
            self._pool.drop(self._permit.ticket, self._jobs)


# Classes, because every request uses these, and contextlib's decorator takes three times as long.


class Deadline:
    """Cancels what is inside, in `async with`, at the deadline of a request. Raises: DeadlineExceeded."""

    def __init__(self, deadline: float, timeout_seconds: float) -> None:
        self._timeout = asyncio.timeout_at(deadline)
        self._timeout_seconds = timeout_seconds

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._timeout.__aexit__(*error)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the answer was not ready within {self._timeout_seconds:g} s; the request is cancelled"
            ) from None


class LentLanes:
    """Lends the lanes to a request until its deadline, in `async with`. Then windows that wait leave the queue."""

    def __init__(self, lanes: PoolLanes, deadline: Deadline) -> None:
        self._lanes = lanes
        self._deadline = deadline

    async def __aenter__(self) -> PoolLanes:
        await self._deadline.__aenter__()
        return self._lanes

    async def __aexit__(self, *error: Any) -> None:
        try:
            await self._deadline.__aexit__(*error)
        finally:
            self._lanes.drop()


class _Results:
    """The results in order. An asynchronous generator would cost the event loop a task to close it, 20 µs a request."""

    def __init__(self, lanes: PoolLanes, work: Work) -> None:
        self._lanes = lanes
        self._batches = batches(work)
        self._in_flight: deque[tuple[Window, Job]] = deque()

    def __aiter__(self) -> "_Results":
        return self

    async def __anext__(self) -> tuple[Window, Logits]:
        in_flight = self._in_flight
        while len(in_flight) <= (GROUPS_IN_FLIGHT - 1) * GROUP_WINDOWS and (batch := next(self._batches, None)):
            in_flight += zip((window for _, window in batch), self._lanes.submit(batch), strict=True)
        if not in_flight:
            raise StopAsyncIteration
        window, job = in_flight.popleft()
        return window, await self._lanes.result(job)


def batches(work: Work) -> Iterator[list[tuple[Precision, Window]]]:
    """Yield the work in lists of at most GROUP_WINDOWS windows, and build no window before its list is asked for."""
    while batch := list(itertools.islice(work, GROUP_WINDOWS)):
        yield batch
