"""The windows that wait for a lane, in an order that is fair to each request. Pure data structures on the event loop.

Requests take turns of a few windows each. So a long context delays other requests by a few windows at a time and not by
its whole length, and a request of up to four windows runs all of them in one turn. No lane stays idle while a window
that it could run is waiting.
"""

import asyncio
import itertools
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from container.precision import Precision
from model_loader.model_io import ModelInput, WindowLogits

FOREGROUND_WINDOWS = 4  # a request's first windows run in the foreground, and a turn has as many (decisions/0007)


class Priority(StrEnum):
    """On which lanes a window runs."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"  # the later windows of a long request, which give way to other requests
    IDLE = "idle"  # windows that belong to no request and run only on idle cores


@dataclass(eq=False)
class Job:
    """One window that waits for a lane or runs on one. Times are time.perf_counter() in seconds."""

    precision: Precision
    input: ModelInput
    cost_ms: float  # expected, on a lane of one core
    result: asyncio.Future[WindowLogits]
    priority: Priority = Priority.FOREGROUND
    attempts: int = 0
    lanes_lost: int = 0  # while they ran this window
    runs_alone: bool = False  # because a call with this window has failed
    submitted_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    lane: str = ""  # that ran the window last
    windows: int = 1  # of the call in which it ran
    rung: int = 0

    def begin(self, lane: str, rung: int, windows: int, now: float) -> None:
        """Note that a lane runs the window now, in a call of so many windows."""
        self.lane, self.rung, self.windows = lane, rung, windows
        self.started_at, self.attempts = now, self.attempts + 1

    def end(self, logits: WindowLogits, now: float) -> None:
        """Hand the logits to the request, unless it has given the window up."""
        self.ended_at = now
        if not self.result.done():
            self.result.set_result(logits)


@dataclass(eq=False)
class Ticket:
    """One request's place in the queues. windows: the number submitted so far."""

    windows: int = 0


class FairQueue:
    """A ring of tickets, each with its windows that still wait. quantum: the number of windows in one turn."""

    def __init__(self, quantum: int = 1) -> None:
        self._quantum = quantum
        self._ring: OrderedDict[Ticket, deque[Job]] = OrderedDict()
        self._served: Counter[Ticket] = Counter()  # windows of the current turn
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, ticket: Ticket, job: Job) -> None:
        """Queue a window behind the others of its request."""
        self._ring.setdefault(ticket, deque()).append(job)
        self._length += 1

    def put_back(self, ticket: Ticket, job: Job) -> None:
        """Queue the window of a lost lane again, before all other windows."""
        self._ring.setdefault(ticket, deque()).appendleft(job)
        self._ring.move_to_end(ticket, last=False)
        self._length += 1

    def pop(self, can_run: Callable[[Job], bool], among: int | None = None) -> tuple[Ticket, Job] | None:
        """Remove and return the next window that can run.

        A request goes to the end of the ring when its turn is over. A request that is skipped keeps its place.
        """
        ticket = next((ticket for ticket, jobs in self._ring.items() if can_run(jobs[0])), None)
        return None if ticket is None else (ticket, self.take(ticket))

    def look(self, can_run: Callable[[Job], bool], most: int, among: int) -> list[tuple[Ticket, Job]]:
        """Return the next windows that can run, and leave them in the queue. `take` removes them in the same order.

        most: how many windows. among: how many requests are considered, each with the rest of its turn.
        """
        found: list[tuple[Ticket, Job]] = []
        for ticket, jobs in itertools.islice(self._ring.items(), among):
            for job in itertools.islice(jobs, self._quantum - self._served[ticket]):
                if len(found) == most or not can_run(job):
                    break
                found.append((ticket, job))
        return found

    def take(self, ticket: Ticket) -> Job:
        """Remove and return the next window of a request."""
        job = self._ring[ticket].popleft()
        self._length -= 1
        self._served[ticket] += 1
        if not self._ring[ticket]:
            self._remove(ticket)
        elif self._served[ticket] == self._quantum:
            del self._served[ticket]
            self._ring.move_to_end(ticket)
        return job

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Remove the windows of this request that still wait, because nobody needs their answer any more."""
        if ticket in self._ring:
            self._keep(ticket, [job for job in self._ring[ticket] if job not in jobs])

    def take_out(self, precision: Precision) -> list[Job]:
        """Remove and return all windows of one precision."""
        taken = [job for jobs in self._ring.values() for job in jobs if job.precision == precision]
        for ticket in list(self._ring):
            self._keep(ticket, [job for job in self._ring[ticket] if job.precision != precision])
        return taken

    def work_ahead_ms(self, windows: int) -> float:
        """Return the milliseconds of waiting work that runs before a new request of `windows` windows has finished."""
        turns = math.ceil(windows / self._quantum)
        return sum(job.cost_ms for jobs in self._ring.values() for job in itertools.islice(jobs, turns * self._quantum))

    def _keep(self, ticket: Ticket, jobs: list[Job]) -> None:
        self._length -= len(self._ring[ticket]) - len(jobs)
        if jobs:
            self._ring[ticket] = deque(jobs)
        else:
            self._remove(ticket)

    def _remove(self, ticket: Ticket) -> None:
        del self._ring[ticket]
        self._served.pop(ticket, None)


class PriorityQueues:
    """One fair queue for each priority. has_background: whether any lane runs background windows."""

    def __init__(self, has_background: bool) -> None:
        self._has_background = has_background
        self._queues = {
            Priority.FOREGROUND: FairQueue(FOREGROUND_WINDOWS),
            Priority.BACKGROUND: FairQueue(),
            Priority.IDLE: FairQueue(),
        }

    def __getitem__(self, priority: Priority) -> FairQueue:
        return self._queues[priority]

    @property
    def waiting(self) -> int:
        """The number of windows of requests that wait."""
        return len(self._queues[Priority.FOREGROUND]) + len(self._queues[Priority.BACKGROUND])

    def add_next(self, ticket: Ticket, job: Job) -> None:
        """Queue the next window of a request: its first windows in the foreground, the others in the background."""
        ticket.windows += 1
        if self._has_background and ticket.windows > FOREGROUND_WINDOWS:
            job.priority = Priority.BACKGROUND
        self._queues[job.priority].add(ticket, job)

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Remove the windows of this request that still wait."""
        for queue in self._queues.values():
            queue.drop(ticket, jobs)

    def take_out(self, precision: Precision) -> list[Job]:
        """Remove and return all windows of one precision."""
        return [job for queue in self._queues.values() for job in queue.take_out(precision)]

    def work_ahead_ms(self, windows: int) -> float:
        """Return the milliseconds of waiting work that runs before a new request of `windows` windows has finished."""
        ahead_ms = self._queues[Priority.FOREGROUND].work_ahead_ms(windows)
        if windows > FOREGROUND_WINDOWS:
            ahead_ms += self._queues[Priority.BACKGROUND].work_ahead_ms(windows - FOREGROUND_WINDOWS)
        return ahead_ms
