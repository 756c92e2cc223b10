"""A planned lane, the process that fills it, and what it is doing. Plain state; lane_pool.py decides."""

import asyncio
from dataclasses import dataclass, field

from container.precision import Precision
from model_loader import ladder
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.plan import LaneSpec
from serve.lanes.warmup import WarmStep
from serve.lanes.zygote_client import LaneProcess


@dataclass(frozen=True)
class Birth:
    """A new lane process, and the rungs that it was born with."""

    process: LaneProcess
    warm: dict[Precision, set[int]]


@dataclass(eq=False)
class Slot:
    """A planned lane and the process that fills it, if one does."""

    spec: LaneSpec
    process: LaneProcess | None = None
    successor: Birth | None = None  # takes over when the process is idle
    work: WarmStep | Job | None = None
    ticket: Ticket = field(default_factory=Ticket)  # that the work belongs to
    watchdog: asyncio.TimerHandle | None = None
    warm: dict[Precision, set[int]] = field(default_factory=dict)
    windows_since_warmup: int = 0
    restarts: int = 0

    @property
    def is_idle(self) -> bool:
        """Alive and without work."""
        return self.process is not None and self.work is None

    def free(self) -> WarmStep | Job | None:
        """Take the work away, done or lost."""
        work, self.work = self.work, None
        if self.watchdog:
            self.watchdog.cancel()
        return work

    def renew(self, birth: Birth) -> None:
        """Replace the process: now, or as soon as its window is done."""
        if self.successor:
            self.successor.process.close()
        self.successor = birth
        if self.work is None:
            self.take_over()

    def take_over(self) -> None:
        """The successor, if there is one, takes the place."""
        if self.successor:
            old, self.process = self.process, self.successor.process
            self.warm, self.successor = self.successor.warm, None
            if old:
                old.close()

    def rung_for(self, precision: Precision, tokens: int) -> int | None:
        """The smallest rung that is warm on this lane and holds the window."""
        return ladder.rung_for(tokens, self.warm.get(precision, ()))
