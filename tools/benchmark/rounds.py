"""Measure precisions under one load in alternating turns, so that the machine's noise hits all of them alike."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import uvloop

from container.precision import Precision
from tools.benchmark.load import REFUSED, TRANSPORT_ERROR, Load, OnDone, Sample, Wire, closed_loop, open_loop
from tools.errors import ToolError
from tools.process_tree import ProcessTree

TURNS = 2  # of each precision under each load; the second time in the opposite order


@dataclass(frozen=True)
class Closed:
    """A closed loop of clients."""

    clients: int

    def __str__(self) -> str:
        return "1 client" if self.clients == 1 else f"{self.clients} clients"


@dataclass(frozen=True)
class Open:
    """Poisson arrivals at a rate a second; share: of the saturation measured before, where the rate comes from that."""

    rate: float
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.rate:.3g}/s" if self.share is None else f"{self.rate:.3g}/s, {self.share:.0%} of saturation"


@dataclass(frozen=True)
class Target:
    """The server: where it is, its processes where they are on this machine, the bodies to send, and how."""

    url: str
    processes: ProcessTree | None
    bodies: Mapping[Precision, Sequence[bytes]]
    wires: Mapping[Precision, Wire] = field(default_factory=dict)


@dataclass(frozen=True)
class Length:
    """How long a precision is under one load, over all its turns: so many requests, or else seconds."""

    seconds: float
    requests: int | None = None

    def requests_a_turn(self) -> int | None:
        """So many that all turns together send at least `requests`."""
        return None if self.requests is None else -(-self.requests // TURNS)

    def seconds_a_turn(self, rate: float | None = None) -> float:
        """Seconds, or those that the requests take at a rate."""
        requests = self.requests_a_turn()
        return self.seconds / TURNS if requests is None or rate is None else requests / rate


@dataclass(frozen=True)
class Turn:
    """One precision's turn. server_* are None for a server elsewhere."""

    load: Load
    server_cpu_seconds: float | None
    server_memory_bytes: int | None


@dataclass(frozen=True)
class Measured:
    """All turns of one precision under one load."""

    precision: Precision
    under: Closed | Open
    turns: tuple[Turn, ...]

    @property
    def load(self) -> Load:
        """The turns as one run."""
        return sum((turn.load for turn in self.turns), Load())


Advance = Callable[[str, float], None]


class Bench:
    """One server, measured under one load after the other."""

    def __init__(self, target: Target, length: Length, advance: Advance) -> None:
        """advance: is told what is under way, and how many turns are done, with the done part of the present one."""
        self._target = target
        self._length = length
        self._advance = advance
        self._turns_done = 0

    def measure(self, loads: Mapping[Precision, Closed | Open]) -> list[Measured]:
        """Each precision under its load.

        Raises: ToolError where no request of a turn was answered.
        """
        turns: dict[Precision, list[Turn]] = {precision: [] for precision in loads}
        for number in range(TURNS):
            for precision in list(loads)[:: 1 if number % 2 == 0 else -1]:
                turns[precision].append(self._turn(precision, loads[precision], turns[precision]))
        return [Measured(precision, under, tuple(turns[precision])) for precision, under in loads.items()]

    def _turn(self, precision: Precision, under: Closed | Open, before: Sequence[Turn]) -> Turn:
        processes = self._target.processes
        cpu_seconds = processes.cpu_seconds() if processes else 0
        load = uvloop.run(self._run(precision, under, before))
        _check_answered(load, f"{precision} request at {under}")
        self._turns_done += 1
        if processes is None:
            return Turn(load, None, None)
        return Turn(load, processes.cpu_seconds() - cpu_seconds, processes.memory_bytes())

    async def _run(self, precision: Precision, under: Closed | Open, before: Sequence[Turn]) -> Load:
        bodies = self._target.bodies[precision]
        start = sum(len(turn.load.samples) for turn in before) % len(bodies)  # go on where the last turn ended
        bodies = [*bodies[start:], *bodies[:start]]
        url, name = self._target.url, f"{precision}, {under}"
        wire = self._target.wires.get(precision)
        seconds: float | None
        if isinstance(under, Open):
            seconds = self._length.seconds_a_turn(under.rate)
            tell = self._teller(name, None, seconds)
            return await open_loop(url, bodies, under.rate, seconds=seconds, seed=len(before), wire=wire, on_done=tell)
        requests = self._length.requests_a_turn()
        seconds = None if requests else self._length.seconds_a_turn()
        tell = self._teller(name, requests, seconds)
        return await closed_loop(
            url, bodies, under.clients, requests=requests, seconds=seconds, wire=wire, on_done=tell
        )

    def _teller(self, name: str, requests: int | None, seconds: float | None) -> OnDone:
        begin, done = time.perf_counter(), count(1)

        def tell(sample: Sample) -> None:
            part = next(done) / requests if requests else (sample.finished_at - begin) / (seconds or 1)
            self._advance(name, self._turns_done + min(part, 1.0))

        return tell


def _check_answered(load: Load, what: str) -> None:
    if load.answered_ms:
        return
    counts = {**load.errors, REFUSED: load.refused}
    reasons = [
        f"{number} without an HTTP answer" if status == TRANSPORT_ERROR else f"{number} with status {status}"
        for status, number in counts.items()
        if number
    ]
    raise ToolError(f"no {what} was answered: {', '.join(reasons) or 'none was sent'}. The server's log may say why")
