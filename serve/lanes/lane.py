"""A planned lane with its process and its current work. pool.py decides what the process does next."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

from container.precision import Precision
from model_loader import ladder, wire
from model_loader.ladder import Batch, WarmStep
from model_loader.model_io import ModelInput
from model_loader.wire import HEADER, FrameKind, Run, RunResult, Warmed
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.plan import LaneSpec
from serve.processes.child import Activity, ChildProcess, Lifeline
from serve.processes.heartbeat import Watched

log = logging.getLogger(__name__)

EARLY_SECONDS = 60  # a process that ends sooner than this after its fork may have ended for a reason that persists


class LaneProcess(Watched, Protocol):
    """A process that runs a model. It does one thing at a time and reports each result to LaneReplies.

    This interface does not say how the process starts. Today the zygote forks each lane. An inference engine whose
    threads do not survive a fork can start its lanes in another way.
    """

    def run(self, precision: Precision, rung: int, inputs: Sequence[ModelInput]) -> None:
        """Run the windows in one call of the model, each padded to the rung. on_result or on_failure follows."""

    def warm(self, step: WarmStep) -> None:
        """Compile one shape. on_warm or on_failure follows."""

    def close(self) -> None:
        """Close the connection; the process then ends. on_end follows."""


class LaneReplies(Protocol):
    """What a lane process reports to the pool."""

    def on_result(self, process: LaneProcess, result: RunResult) -> None:
        """A call of the model has returned; the result has the logits of each window of the call."""

    def on_warm(self, process: LaneProcess, warmed: Warmed) -> None:
        """A shape is warm."""

    def on_failure(self, process: LaneProcess, reason: str) -> None:
        """A call of the model or a warm-up raised an error. The process keeps running."""


OnEnd = Callable[[LaneProcess], None]  # the process has ended, or its connection was closed


@dataclass(frozen=True)
class ForkedLane:
    """A new lane process, and the rungs that are warm in it, shortest first, and the batches."""

    process: LaneProcess
    warm: dict[Precision, tuple[int, ...]]
    warm_batches: dict[Precision, frozenset[Batch]]


@dataclass(eq=False)
class Lane:
    """A planned lane and its process, if one is running.

    jobs: the windows of the call that is running, with a ticket each; warming: the step that is running. At most one of
    them is set. expected_ms: of the call.
    """

    spec: LaneSpec
    process: LaneProcess | None = None
    successor: ForkedLane | None = None  # replaces the process as soon as the process is idle
    jobs: Sequence[Job] = ()
    tickets: Sequence[Ticket] = ()
    expected_ms: float = 0.0
    warming: WarmStep | None = None
    watchdog: asyncio.TimerHandle | None = None
    warm: dict[Precision, tuple[int, ...]] = field(default_factory=dict)  # rungs, shortest first
    warm_batches: dict[Precision, frozenset[Batch]] = field(default_factory=dict)
    windows_since_warmup: int = 0
    restarts: int = 0
    early_ends: int = 0  # in a row, after the first
    _forked_at: float = -EARLY_SECONDS

    @property
    def has_work(self) -> bool:
        """Whether the process is busy."""
        return bool(self.jobs) or self.warming is not None

    @property
    def is_idle(self) -> bool:
        """Whether the process is running and has nothing to do."""
        return self.process is not None and not self.has_work

    def watch(self, limit_seconds: float) -> None:
        """Kill the process if it has not replied in time; the supervisor then replaces it."""
        assert self.process is not None
        self.watchdog = asyncio.get_running_loop().call_later(
            limit_seconds, _kill_hung, self.spec.name, self.process, limit_seconds
        )

    def release(self) -> tuple[Sequence[Job], WarmStep | None]:
        """Remove the lane's work, finished or lost, and return the work."""
        jobs, warming = self.jobs, self.warming
        self.jobs, self.tickets, self.warming = (), (), None
        if self.watchdog:
            self.watchdog.cancel()
        return jobs, warming

    def renew(self, forked: ForkedLane) -> None:
        """Replace the process by a new one: now, or as soon as its windows are done."""
        if self.successor:
            self.successor.process.kill()
        self.successor = forked
        if not self.has_work:
            self.take_over()

    def take_over(self) -> None:
        """Put the successor, if there is one, in the place of the process."""
        if self.successor:
            old, self.process = self.process, self.successor.process
            self.warm, self.warm_batches = self.successor.warm, self.successor.warm_batches
            self.successor = None
            self._forked_at = time.monotonic()
            if old:
                old.kill()  # it may be stopped, and then it would not notice that its socket is closed

    def count_end(self) -> None:
        """Count that the process has ended although nobody replaced it."""
        is_first = self.restarts == 0 or time.monotonic() - self._forked_at > EARLY_SECONDS
        self.early_ends = 0 if is_first else self.early_ends + 1
        self.restarts += 1

    def rung_for(self, precision: Precision, tokens: int) -> int | None:
        """Return the shortest rung that is warm on this lane and holds a window of `tokens` tokens."""
        return ladder.rung_for(tokens, self.warm.get(precision, ()))


def _kill_hung(name: str, process: LaneProcess, limit_seconds: float) -> None:
    log.error(
        "lane %s (process %d) has not replied for %.0f s; the server ends this process",
        *(name, process.pid, limit_seconds),
    )
    process.kill()


class LaneConnection(asyncio.Protocol):
    """The connection to a lane process over a socket, with the frames of model_loader/wire.py. It is a LaneProcess."""

    def __init__(self, child: ChildProcess, lifeline: Lifeline, replies: LaneReplies, on_end: OnEnd) -> None:
        self.pid = child.pid
        self._child = child
        self._lifeline = lifeline  # the lane lives as long as this object or another one refers to the lifeline
        self._has_pinged = False
        self._owed = 0  # the number of frames that have not been answered
        self._replies = replies
        self._on_end = on_end
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self.has_ended = False

    def run(self, precision: Precision, rung: int, inputs: Sequence[ModelInput]) -> None:
        """Run the windows in one call of the model."""
        self._send(wire.run_frame(Run(precision, rung, inputs)))

    def warm(self, step: WarmStep) -> None:
        """Compile one shape."""
        self._send(wire.warm_frame(step))

    def close(self) -> None:
        """Close the socket; the lane then ends."""
        assert self._transport is not None
        self._transport.abort()

    def kill(self) -> None:
        """Kill the process, and close the socket."""
        self._child.kill()
        self.close()

    def ping(self) -> None:
        """Ask the idle process for a sign of life."""
        self._has_pinged = True
        self._send(wire.PING_FRAME)

    def activity(self) -> Activity:
        """Read what the process does."""
        return self._child.activity()

    @property
    def owes_answer(self) -> bool:
        """Whether a frame has not been answered."""
        return self._owed > 0

    @property
    def owes_pong(self) -> bool:
        """Whether a ping has not been answered. The lane answers it before any frame that was sent later."""
        return self._has_pinged

    def _send(self, frame: bytes) -> None:
        assert self._transport is not None
        self._owed += 1
        self._transport.write(frame)

    # asyncio calls these three.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: the socket is open."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Collect the replies, and report each when it is complete."""
        self._received += data
        while len(self._received) >= HEADER.size:
            length, kind = HEADER.unpack_from(self._received)
            end = HEADER.size + length
            if len(self._received) < end:
                return
            body = bytes(self._received[HEADER.size : end])
            del self._received[:end]
            self._owed -= 1
            self._report(FrameKind(kind), body)

    def connection_lost(self, _: Exception | None) -> None:
        """Report that the lane has ended or was closed."""
        self.has_ended = True
        self._on_end(self)

    def _report(self, kind: FrameKind, body: bytes) -> None:
        if kind is FrameKind.PONG:
            self._has_pinged = False
        elif kind is FrameKind.LOGITS:
            self._replies.on_result(self, wire.parse_logits(body))
        elif kind is FrameKind.WARMED:
            self._replies.on_warm(self, wire.parse_warmed(body))
        else:
            self._replies.on_failure(self, json.loads(body)["error"])
