"""A queue of windows: work-conserving, and fair by request. Pure data structure, used on the event loop.

Requests take turns of a few windows each. So one long context delays the others by a few windows at a time, not by its
whole length, and a request of few windows is through as early as in a queue without turns.
"""

import asyncio
import itertools
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from container.precision import Precision
from model_loader.wire import WindowLogits
from serve.qa.features import Window


class Priority(StrEnum):
    """Whose time a window may take."""

    FOREGROUND = "foreground"
    BACKGROUND = "background"  # the rest of a long request: gives way
    IDLE = "idle"  # of no request: runs where nothing else would


@dataclass(eq=False)
class Job:
    """One window that waits for a lane, or runs on one. Times are time.perf_counter() in seconds."""

    precision: Precision
    window: Window
    price_ms: float
    result: asyncio.Future[WindowLogits]
    priority: Priority = Priority.FOREGROUND
    attempts: int = 0
    submitted_at: float = 0.0
    started_at: float = 0.0
    rung: int = 0


@dataclass(eq=False)
class Ticket:
    """One HTTP request's place in the ring. deadline: event loop's time, seconds; windows: submitted so far."""

    deadline: float = math.inf
    windows: int = 0


class FairQueue:
    """A ring of tickets, each with its windows that still wait. quantum: windows that a request runs in one turn."""

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
        """Queue a window again whose lane was lost: it is next."""
        self._ring.setdefault(ticket, deque()).appendleft(job)
        self._ring.move_to_end(ticket, last=False)
        self._length += 1

    def pop(self, can_run: Callable[[Job], bool]) -> tuple[Ticket, Job] | None:
        """The next window that can run. A request whose turn is over goes last; those skipped keep their place."""
        ticket = next((ticket for ticket, jobs in self._ring.items() if can_run(jobs[0])), None)
        if ticket is None:
            return None
        job = self._ring[ticket].popleft()
        self._length -= 1
        self._served[ticket] += 1
        if not self._ring[ticket]:
            self._remove(ticket)
        elif self._served[ticket] == self._quantum:
            del self._served[ticket]
            self._ring.move_to_end(ticket)
        return ticket, job

    def drop(self, ticket: Ticket, jobs: Collection[Job]) -> None:
        """Forget those of a request's windows that still wait: its client has gone, or its time is over."""
        if ticket in self._ring:
            self._keep(ticket, [job for job in self._ring[ticket] if job not in jobs])

    def take_out(self, precision: Precision) -> list[Job]:
        """Remove and give all windows of a precision."""
        taken = [job for jobs in self._ring.values() for job in jobs if job.precision == precision]
        for ticket in list(self._ring):
            self._keep(ticket, [job for job in self._ring[ticket] if job.precision != precision])
        return taken

    def wait_ms(self, windows: int) -> float:
        """Lane milliseconds that others are served before a new request of so many windows is through."""
        turns = math.ceil(windows / self._quantum)
        return sum(
            job.price_ms for jobs in self._ring.values() for job in itertools.islice(jobs, turns * self._quantum)
        )

    def _keep(self, ticket: Ticket, jobs: list[Job]) -> None:
        self._length -= len(self._ring[ticket]) - len(jobs)
        if jobs:
            self._ring[ticket] = deque(jobs)
        else:
            self._remove(ticket)

    def _remove(self, ticket: Ticket) -> None:
        del self._ring[ticket]
        self._served.pop(ticket, None)
