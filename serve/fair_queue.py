"""The one queue of windows: work-conserving, and fair by request. Pure data structure, used on the event loop.

Requests take turns: each pop serves the next request in the ring one window. So one book-length context delays
the others by a window at a time, not by its whole length.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from container.precision import Precision
from model_loader.wire import WindowLogits
from serve.features import Window


@dataclass(eq=False)
class Job:
    """One window that waits for a lane, or runs on one. Times are time.perf_counter() in seconds."""

    precision: Precision
    window: Window
    price_ms: float
    result: asyncio.Future[WindowLogits]
    attempts: int = 0
    submitted_at: float = 0.0
    started_at: float = 0.0
    rung: int = 0


@dataclass(eq=False)
class Turn:
    """One HTTP request's place in the ring, with its windows that still wait. deadline: event loop's time, seconds."""

    deadline: float = math.inf
    jobs: deque[Job] = field(default_factory=deque)


class FairQueue:
    """A ring of turns."""

    def __init__(self) -> None:
        self._ring: deque[Turn] = deque()

    def __len__(self) -> int:
        return sum(len(turn.jobs) for turn in self._ring)

    def is_single(self) -> bool:
        """Whether exactly one window waits."""
        return len(self._ring) == 1 and len(self._ring[0].jobs) == 1

    def add(self, turn: Turn, job: Job) -> None:
        """Queue a window behind the others of its turn."""
        if not turn.jobs:
            self._ring.append(turn)
        turn.jobs.append(job)

    def put_back(self, turn: Turn, job: Job) -> None:
        """Queue a window again whose lane was lost: it is next."""
        if turn.jobs:
            self._ring.remove(turn)
        turn.jobs.appendleft(job)
        self._ring.appendleft(turn)

    def pop(self, can_run: Callable[[Job], bool]) -> tuple[Turn, Job] | None:
        """The next window that can run. Its request goes to the end of the ring; those skipped keep their place."""
        turn = next((turn for turn in self._ring if can_run(turn.jobs[0])), None)
        if turn is None:
            return None
        job = turn.jobs.popleft()
        self._ring.remove(turn)
        if turn.jobs:
            self._ring.append(turn)
        return turn, job

    def drop(self, turn: Turn, jobs: Collection[Job]) -> None:
        """Forget those of a request's windows that still wait: its client has gone, or its time is over."""
        if not turn.jobs:
            return
        turn.jobs = deque(job for job in turn.jobs if job not in jobs)
        if not turn.jobs:
            self._ring.remove(turn)

    def wait_ms(self, windows: int) -> float:
        """Lane milliseconds that others are served before a new request of so many windows is through."""
        return sum(job.price_ms for turn in self._ring for job in list(turn.jobs)[:windows])
