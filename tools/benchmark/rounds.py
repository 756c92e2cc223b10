"""Measure several precisions under one load, in alternating rounds.

The speed of a machine changes from minute to minute. With alternating rounds, the change affects all precisions alike.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import uvloop

from container.precision import Precision
from tools.benchmark.load_generator import REFUSED, TRANSPORT_ERROR, Load, OnDone, Sample, closed_loop, open_loop
from tools.benchmark.target import Target
from tools.errors import ToolError

ROUNDS = 2  # for each precision under each load; in the second one, the order of the precisions is reversed


@dataclass(frozen=True)
class ClosedLoop:
    """A number of clients that wait for their answers."""

    clients: int

    def __str__(self) -> str:
        return "1 client" if self.clients == 1 else f"{self.clients} clients"


@dataclass(frozen=True)
class OpenLoop:
    """Poisson arrivals.

    Attributes:
        rate: arrivals per second.
        share: the rate as a share of the saturated rate, if it was chosen as one; else None.
    """

    rate: float
    share: float | None = None

    def __str__(self) -> str:
        return f"{self.rate:.3g}/s" if self.share is None else f"{self.rate:.3g}/s, {self.share:.0%} of saturation"


@dataclass(frozen=True)
class Duration:
    """How long one precision is measured under one load, over all rounds: a number of requests, or else seconds."""

    seconds: float
    requests: int | None = None

    def requests_per_round(self) -> int | None:
        """Return the smallest number for which all rounds together send at least `requests`."""
        return None if self.requests is None else -(-self.requests // ROUNDS)

    def seconds_per_round(self, rate: float | None = None) -> float:
        """Return the seconds of one round, or the time that its requests take at a rate."""
        requests = self.requests_per_round()
        return self.seconds / ROUNDS if requests is None or rate is None else requests / rate


@dataclass(frozen=True)
class Round:
    """The result of one round. The server's figures are None if the server runs on another machine."""

    load: Load
    server_cpu_seconds: float | None
    server_memory_bytes: int | None


@dataclass(frozen=True)
class Measurement:
    """All rounds of one precision under one load."""

    precision: Precision
    loop: ClosedLoop | OpenLoop
    rounds: tuple[Round, ...]

    @property
    def load(self) -> Load:
        """The rounds as one run."""
        return sum((one.load for one in self.rounds), Load())


class RoundRunner:
    """Measure one target under one load after the other."""

    def __init__(self, target: Target, duration: Duration, advance: Callable[[str, float], None]) -> None:
        """Prepare the rounds.

        Args:
            target: what to measure.
            duration: how long to measure.
            advance: called after each request with a description of the load, and with the number of rounds done so
                far, which includes the finished part of the current round.
        """
        self._target = target
        self._duration = duration
        self._advance = advance
        self._rounds_done = 0

    def measure(self, loops: Mapping[Precision, ClosedLoop | OpenLoop]) -> list[Measurement]:
        """Measure each precision under its load.

        Raises: ToolError if no request of a round was answered.
        """
        rounds: dict[Precision, list[Round]] = {precision: [] for precision in loops}
        for number in range(ROUNDS):
            for precision in list(loops)[:: 1 if number % 2 == 0 else -1]:
                rounds[precision].append(self._round(precision, loops[precision], rounds[precision]))
        return [Measurement(precision, loop, tuple(rounds[precision])) for precision, loop in loops.items()]

    def _round(self, precision: Precision, loop: ClosedLoop | OpenLoop, before: Sequence[Round]) -> Round:
        processes = self._target.processes
        cpu_seconds = processes.cpu_seconds() if processes else 0
        load = uvloop.run(self._run(precision, loop, before))
        _check_answered(load, f"{precision} request at {loop}")
        self._rounds_done += 1
        if processes is None:
            return Round(load, None, None)
        return Round(load, processes.cpu_seconds() - cpu_seconds, processes.memory_bytes())

    async def _run(self, precision: Precision, loop: ClosedLoop | OpenLoop, before: Sequence[Round]) -> Load:
        bodies = self._target.bodies[precision]
        start = sum(len(one.load.samples) for one in before) % len(bodies)  # continue where the last round ended
        bodies = [*bodies[start:], *bodies[:start]]
        url, name = self._target.url, f"{precision}, {loop}"
        api = self._target.apis.get(precision)
        seconds: float | None
        if isinstance(loop, OpenLoop):
            seconds = self._duration.seconds_per_round(loop.rate)
            on_done = self._progress(name, None, seconds)
            return await open_loop(url, bodies, loop.rate, seconds=seconds, seed=len(before), api=api, on_done=on_done)
        requests = self._duration.requests_per_round()
        seconds = None if requests else self._duration.seconds_per_round()
        on_done = self._progress(name, requests, seconds)
        return await closed_loop(
            url, bodies, loop.clients, requests=requests, seconds=seconds, api=api, on_done=on_done
        )

    def _progress(self, name: str, requests: int | None, seconds: float | None) -> OnDone:
        """Return a function to call after each request of a round, which reports the progress."""
        begin, done = time.perf_counter(), count(1)

        def on_done(sample: Sample) -> None:
            part = next(done) / requests if requests else (sample.finished_at - begin) / (seconds or 1)
            self._advance(name, self._rounds_done + min(part, 1.0))

        return on_done


def _check_answered(load: Load, requests: str) -> None:
    if load.answered_ms:
        return
    counts = {**load.errors, REFUSED: load.refused}
    reasons = [
        f"{number} without an HTTP response" if status == TRANSPORT_ERROR else f"{number} with status {status}"
        for status, number in counts.items()
        if number
    ]
    raise ToolError(
        f"no {requests} was answered: {', '.join(reasons) or 'none was sent'}. The server's log may say why"
    )
