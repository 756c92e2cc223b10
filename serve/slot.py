"""A planned lane, the process that fills it, and what it is doing. Plain state; lane_pool.py decides."""

import asyncio
from dataclasses import dataclass, field

from container.precision import Precision
from model_loader import ladder
from serve.fair_queue import Job, Turn
from serve.lane_plan import LaneSpec
from serve.zygote_client import LaneProcess


@dataclass(frozen=True)
class WarmStep:
    """One rung of one precision to warm."""

    precision: Precision
    rung: int


@dataclass(eq=False)
class Slot:
    """A planned lane and the process that fills it, if one does."""

    spec: LaneSpec
    process: LaneProcess | None = None
    work: WarmStep | Job | None = None
    turn: Turn = field(default_factory=Turn)  # that the work belongs to
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

    def rung_for(self, precision: Precision, tokens: int) -> int | None:
        """The smallest rung that is warm on this lane and holds the window."""
        return ladder.rung_for(tokens, self.warm.get(precision, ()))

    @property
    def warmed(self) -> int:
        """How many rungs are warm, over all precisions."""
        return sum(len(rungs) for rungs in self.warm.values())
