"""Finds processes that are stopped or that hang, busy or idle, within ten seconds.

An idle process is asked for a sign of life by a ping, which it answers between two passes. A process that is busy
cannot answer, and a pass may take long for good reasons: a background lane gets a twelfth of a core, and the guard lane
none while other lanes work. So the heartbeat also asks the kernel. A process hangs if it owes an answer and

- it is stopped by a signal, or
- it sleeps and has used no CPU time since the previous beats, so that it waits for something that does not come, or
- it owes the answer to a ping, and has used seconds of CPU time since, so that it runs in a loop.

A pass that uses CPU time but takes many times its cost is found by the pool (cost.hang_limit_seconds).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serve.processes.child import Activity

BEAT_SECONDS = 2.0
SUSPICIOUS_BEATS = 3  # in a row; a process that hangs is found within BEAT_SECONDS * (SUSPICIOUS_BEATS + 1)
LOOP_CPU_SECONDS = 3.0  # an answer to a ping needs less than a millisecond
IDLE_CPU_SECONDS = 0.0  # a process that waits for something that does not come uses none


class Watched(Protocol):
    """What the heartbeat asks of a process."""

    @property
    def pid(self) -> int:
        """The process id."""

    @property
    def owes_answer(self) -> bool:
        """Whether a call or a ping has not been answered."""

    @property
    def owes_pong(self) -> bool:
        """Whether a ping has not been answered. It is the first frame to be answered."""

    def activity(self) -> Activity:
        """Read what the process does."""

    def ping(self) -> None:
        """Ask an idle process for a sign of life."""

    def kill(self) -> None:
        """Kill the process."""


@dataclass
class _Pulse:
    cpu_seconds: float
    suspicious: int = 0
    loop_from: float | None = None  # the CPU seconds when the process began to owe a pong


class Heartbeat:
    """Remembers how each process was at the previous beats."""

    def __init__(self) -> None:
        self._pulses: dict[Watched, _Pulse] = {}

    def beat(self, processes: Sequence[Watched]) -> list[tuple[Watched, str]]:
        """Look at every process once, and return those that must be killed, each with the reason."""
        self._pulses = {each: pulse for each, pulse in self._pulses.items() if each in processes}
        return [(each, reason) for each in processes if (reason := self._look(each))]

    def _look(self, process: Watched) -> str | None:
        now = process.activity()
        pulse = self._pulses.setdefault(process, _Pulse(now.cpu_seconds))
        is_asleep = now.state == "S" and now.cpu_seconds - pulse.cpu_seconds <= IDLE_CPU_SECONDS
        has_worked = now.cpu_seconds > pulse.cpu_seconds
        is_suspicious = now.is_stopped or (process.owes_answer and is_asleep)
        pulse.suspicious = pulse.suspicious + 1 if is_suspicious else 0
        pulse.cpu_seconds = now.cpu_seconds
        if not process.owes_pong:
            pulse.loop_from = None
        elif pulse.loop_from is None:
            pulse.loop_from = now.cpu_seconds
        elif now.cpu_seconds - pulse.loop_from > LOOP_CPU_SECONDS:
            return "does not answer a ping, although it runs"
        if pulse.suspicious >= SUSPICIOUS_BEATS:
            return "was stopped by a signal" if now.is_stopped else "owes an answer and does nothing"
        if not process.owes_answer and not now.is_stopped and not has_worked:
            process.ping()
        return None
