"""What a window costs, in milliseconds: measured by warm-up, kept true by what is measured while serving."""

import math
import time
from collections.abc import Iterator

from container.precision import Precision
from model_loader import ladder

SMOOTHING = 0.1  # weight of the newest pass: some twenty passes renew a price
BUSY_SECONDS = 5


class CostTable:
    """Milliseconds of a pass by lane width, precision and rung."""

    def __init__(self) -> None:
        self._cost_ms: dict[tuple[int, Precision], dict[int, float]] = {}

    def observe(self, width: int, precision: Precision, rung: int, cost_ms: float) -> None:
        """Take in one measured pass."""
        row = self._cost_ms.setdefault((width, precision), {})
        row[rung] = cost_ms if rung not in row else row[rung] + SMOOTHING * (cost_ms - row[rung])

    def rows(self) -> Iterator[tuple[int, Precision, int, float]]:
        """Width, precision, rung and milliseconds of all that was measured."""
        for (width, precision), prices in self._cost_ms.items():
            for rung, cost_ms in prices.items():
                yield width, precision, rung, cost_ms

    def price_ms(self, width: int, precision: Precision, tokens: int) -> float:
        """What a window of so many tokens costs on a lane of this width; where no rung that holds it was measured
        there, the dearest price known anywhere, so that the guess is never too low."""
        row = self._cost_ms.get((width, precision), {})
        rung = ladder.rung_for(tokens, row.keys())
        if rung is not None:
            return row[rung]
        return max((cost for prices in self._cost_ms.values() for cost in prices.values()), default=0.0)


class BusyShare:
    """The share of the cores' time that windows in the foreground took lately, 0 to 1."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._core_ms = 0.0
        self._at = time.perf_counter()

    def add(self, core_ms: float) -> None:
        """Take in one pass: its milliseconds times its cores."""
        self._decay()
        self._core_ms += core_ms

    def share(self) -> float:
        """Over about the last five seconds."""
        self._decay()
        return min(1.0, self._core_ms / (self._cores * BUSY_SECONDS * 1000))

    def _decay(self) -> None:
        now = time.perf_counter()
        self._core_ms *= math.exp((self._at - now) / BUSY_SECONDS)
        self._at = now
