"""The shape ladder: the few window lengths (rungs) that the model ever sees. Pure functions.

Each new shape costs the fused INT8 graph 60 to 90 ms at its first pass and 7 to 12 MB for good, so a window is
padded to a rung, and a rung is warmed before it is used. Multiples of 16 pad SQuAD by 4 %.
"""

from collections.abc import Collection
from dataclasses import dataclass

from container.precision import Precision


@dataclass(frozen=True)
class WarmStep:
    """One rung of one precision that is to be warmed."""

    precision: Precision
    rung: int


def rungs(max_seq_len: int, step: int) -> tuple[int, ...]:
    """All rungs in tokens, shortest first: multiples of step, and max_seq_len itself."""
    return (*range(step, max_seq_len, step), max_seq_len)


def rung_for(tokens: int, warm: Collection[int]) -> int | None:
    """The smallest warm rung that holds a window of so many tokens; None where none does."""
    return min((rung for rung in warm if rung >= tokens), default=None)


def warm_order(ladder: Collection[int]) -> list[int]:
    """The order to warm in: the longest first, since it holds every window; then coarse steps before fine ones.

    A rung's lowest set bit is its coarseness: 256 and 128 come before 192, 64 before 48. So padding shrinks evenly.
    """
    longest = max(ladder)
    return sorted(ladder, key=lambda rung: (rung != longest, -(rung & -rung), -rung))
