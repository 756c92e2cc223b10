"""The mean ratio of paired measurements, its 95 % interval, and what the interval decides about a limit."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MIN_PAIRS = 5
MAX_PAIRS = 40
# Student's t, 97.5 % quantile, for 4 to 39 degrees of freedom (MIN_PAIRS to MAX_PAIRS pairs).
T_QUANTILES = (
    *(2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
    *(2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042, 2.040, 2.037, 2.035, 2.032, 2.030),
    *(2.028, 2.026, 2.024, 2.023),
)


class Decision(StrEnum):
    """What an interval says about a limit."""

    WITHIN = "within the limit"
    ABOVE = "above the limit"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class RatioInterval:
    """The geometric mean of paired ratios, with its 95 % interval."""

    ratio: float
    low: float
    high: float

    def decide(self, limit: float) -> Decision:
        """Return WITHIN if the whole interval is below the limit, and ABOVE if the whole interval is above it."""
        if self.high < limit:
            return Decision.WITHIN
        return Decision.ABOVE if self.low > limit else Decision.UNDECIDED

    def __str__(self) -> str:
        return f"{self.ratio:.4f} (95 % interval {self.low:.4f} to {self.high:.4f})"


def ratio_interval(ratios: Sequence[float]) -> RatioInterval:
    """Return the interval for MIN_PAIRS to MAX_PAIRS ratios, from Student's t distribution on their logarithms.

    The logarithm makes a ratio and its inverse count alike.
    """
    if not MIN_PAIRS <= len(ratios) <= MAX_PAIRS:
        raise ValueError(f"{len(ratios)} ratios: the interval is defined for {MIN_PAIRS} to {MAX_PAIRS}")
    logarithms = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logarithms)
    standard_error = statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    half_width = T_QUANTILES[len(ratios) - MIN_PAIRS] * standard_error
    return RatioInterval(*(math.exp(value) for value in (mean, mean - half_width, mean + half_width)))
