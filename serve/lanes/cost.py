"""What a window costs, in milliseconds: measured by warm-up, and kept up to date by the passes of real requests."""

import math
import time
from collections.abc import Iterator

from container.precision import Precision
from model_loader import ladder
from serve.lanes.fair_queue import Priority

SMOOTHING = 0.1  # the weight of the newest pass: about twenty passes replace an old cost
BUSY_SECONDS = 5
HANG_FACTOR = 20  # a pass hangs if it takes this many times its expected cost, but never before HANG_FLOOR_SECONDS
HANG_FLOOR_SECONDS = 5
IDLE_LIMIT_SECONDS = 600  # of a pass that runs on idle cores only
BACKGROUND_SHARE = 0.08  # of a core that a background lane gets while the foreground is busy (docs/decisions/0007)


class CostTable:
    """Milliseconds of one pass by lane width, precision and rung."""

    def __init__(self) -> None:
        self._cost_ms: dict[tuple[int, Precision], dict[int, float]] = {}
        self._rungs: dict[tuple[int, Precision], tuple[int, ...]] = {}  # those of _cost_ms, shortest first

    def observe(self, width: int, precision: Precision, rung: int, cost_ms: float) -> None:
        """Record the measured milliseconds of one pass."""
        row = self._cost_ms.setdefault((width, precision), {})
        if rung in row:
            row[rung] += SMOOTHING * (cost_ms - row[rung])
        else:
            row[rung] = cost_ms
            self._rungs[width, precision] = tuple(sorted(row))

    def rows(self) -> Iterator[tuple[int, Precision, int, float]]:
        """Yield width, precision, rung and milliseconds of everything that was measured."""
        for (width, precision), costs in self._cost_ms.items():
            for rung, cost_ms in costs.items():
                yield width, precision, rung, cost_ms

    def cost_ms(self, width: int, precision: Precision, tokens: int) -> float:
        """Return the expected milliseconds of a window of `tokens` tokens on a lane of `width` cores.

        If no rung that holds the window was measured on such a lane, the result is the highest cost known
        anywhere, so that the estimate is never too low.
        """
        rung = ladder.rung_for(tokens, self._rungs.get((width, precision), ()))
        if rung is not None:
            return self._cost_ms[width, precision][rung]
        return max((cost for costs in self._cost_ms.values() for cost in costs.values()), default=0.0)


class BusyShare:
    """The share of the cores' time that foreground windows used in about the last five seconds."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._core_ms = 0.0
        self._at = time.perf_counter()

    def add(self, core_ms: float) -> None:
        """Record one pass: its milliseconds times its cores."""
        self._decay()
        self._core_ms += core_ms

    def share(self) -> float:
        """Return the share of core time, 0 to 1."""
        self._decay()
        return min(1.0, self._core_ms / (self._cores * BUSY_SECONDS * 1000))

    def _decay(self) -> None:
        now = time.perf_counter()
        self._core_ms *= math.exp((self._at - now) / BUSY_SECONDS)
        self._at = now


def hang_limit_seconds(cost_ms: float, priority: Priority) -> float:
    """Return the seconds after which a pass that was expected to cost `cost_ms` counts as hung."""
    if priority is Priority.IDLE:
        return IDLE_LIMIT_SECONDS
    limit = max(HANG_FLOOR_SECONDS, HANG_FACTOR * cost_ms / 1000)
    return limit / BACKGROUND_SHARE if priority is Priority.BACKGROUND else limit
