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
from serve.features import Window


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
class Turn:
    """One HTTP request's place in the ring. deadline: event loop's time, seconds; windows: submitted so far."""

    deadline: float = math.inf
    windows: int = 0


class FairQueue:
    """A ring of turns, each with its windows that still wait. quantum: windows that a request runs in one turn."""

    def __init__(self, quantum: int = 1) -> None:
        self._quantum = quantum
        self._ring: OrderedDict[Turn, deque[Job]] = OrderedDict()
        self._served: Counter[Turn] = Counter()  # windows of the current turn
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, turn: Turn, job: Job) -> None:
        """Queue a window behind the others of its turn."""
        self._ring.setdefault(turn, deque()).append(job)
        self._length += 1

    def put_back(self, turn: Turn, job: Job) -> None:
        """Queue a window again whose lane was lost: it is next."""
        self._ring.setdefault(turn, deque()).appendleft(job)
        self._ring.move_to_end(turn, last=False)
        self._length += 1

    def pop(self, can_run: Callable[[Job], bool]) -> tuple[Turn, Job] | None:
        """The next window that can run. A request whose turn is over goes last; those skipped keep their place."""
        turn = next((turn for turn, jobs in self._ring.items() if can_run(jobs[0])), None)
        if turn is None:
            return None
        job = self._ring[turn].popleft()
        self._length -= 1
        self._served[turn] += 1
        if not self._ring[turn]:
            self._remove(turn)
        elif self._served[turn] == self._quantum:
            del self._served[turn]
            self._ring.move_to_end(turn)
        return turn, job

    def drop(self, turn: Turn, jobs: Collection[Job]) -> None:
        """Forget those of a request's windows that still wait: its client has gone, or its time is over."""
        if turn in self._ring:
            self._keep(turn, [job for job in self._ring[turn] if job not in jobs])

    def take_out(self, precision: Precision) -> list[Job]:
        """Remove and give all windows of a precision."""
        taken = [job for jobs in self._ring.values() for job in jobs if job.precision == precision]
        for turn in list(self._ring):
            self._keep(turn, [job for job in self._ring[turn] if job.precision != precision])
        return taken

    def wait_ms(self, windows: int) -> float:
        """Lane milliseconds that others are served before a new request of so many windows is through."""
        turns = math.ceil(windows / self._quantum)
        return sum(
            job.price_ms for jobs in self._ring.values() for job in itertools.islice(jobs, turns * self._quantum)
        )

    def _keep(self, turn: Turn, jobs: list[Job]) -> None:
        self._length -= len(self._ring[turn]) - len(jobs)
        if jobs:
            self._ring[turn] = deque(jobs)
        else:
            self._remove(turn)

    def _remove(self, turn: Turn) -> None:
        del self._ring[turn]
        self._served.pop(turn, None)
