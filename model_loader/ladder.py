"""The ladder: the few window lengths, called rungs, that the model ever runs. All functions are pure.

The first pass of a new length costs the fused INT8 graph 60 to 90 ms, and 7 to 12 MB of memory for as long as the
process lives. The server therefore pads each window to a rung, and warms a rung before it uses it. Rungs at multiples
of 16 tokens make SQuAD's windows 4 % longer.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from container.precision import Precision


class Batch(NamedTuple):
    """The shape of one call of the model with several windows: their number, and the rung that each is padded to."""

    rung: int
    windows: int


@dataclass(frozen=True)
class WarmStep:
    """One shape of one precision that is to be warmed: a rung, for one window or for a batch of several."""

    precision: Precision
    rung: int
    windows: int = 1


def rungs(max_seq_len: int, step: int) -> tuple[int, ...]:
    """Return all rungs in tokens, shortest first: the multiples of step below max_seq_len, and max_seq_len itself."""
    return (*range(step, max_seq_len, step), max_seq_len)


def rung_for(tokens: int, warm: Sequence[int]) -> int | None:
    """Return the shortest warm rung that holds a window of this many tokens, or None if every warm rung is shorter.

    warm: rungs, shortest first.
    """
    index = bisect_left(warm, tokens)
    return warm[index] if index < len(warm) else None


def with_rung(warm: Sequence[int], rung: int) -> tuple[int, ...]:
    """Return the warm rungs, shortest first, with one more rung, which may be among them already."""
    return tuple(sorted({*warm, rung}))


def warm_order(ladder: Collection[int]) -> list[int]:
    """Return the rungs in the order in which to warm them.

    The longest rung comes first, because it holds every window. The others follow from the coarsest to the finest, so
    that the padding of all lengths shrinks evenly. How coarse a rung is shows in the largest power of two that divides
    it: 256 and 128 come before 192, and 64 comes before 48.
    """
    longest = max(ladder)
    return sorted(ladder, key=lambda rung: (rung != longest, -(rung & -rung), -rung))
