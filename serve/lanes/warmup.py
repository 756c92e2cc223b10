"""Which rung of which precision is warmed next. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from container.precision import Precision
from model_loader import ladder

WarmRungs = Mapping[Precision, Set[int]]  # what is warm somewhere


@dataclass(frozen=True)
class WarmStep:
    """One rung of one precision to warm."""

    precision: Precision
    rung: int


class WarmSteps:
    """The longest rung first, which holds every window; then the most wanted; then coarse steps before fine ones."""

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self._order = ladder.warm_order(rungs)
        self._wanted: Counter[WarmStep] = Counter()

    def want(self, step: WarmStep) -> None:
        """A window would have fitted this rung, had it been warm."""
        self._wanted[step] += 1

    def next(self, warm: WarmRungs, precisions: Iterable[Precision]) -> WarmStep | None:
        """The next of what is not warm yet; None when all is."""
        missing = (
            WarmStep(precision, rung)
            for rung in self._order
            for precision in precisions
            if rung not in warm.get(precision, ())
        )
        longest = self._order[0]
        return max(missing, key=lambda step: (step.rung == longest, self._wanted[step]), default=None)


def count_rungs(warm: WarmRungs, precisions: Iterable[Precision]) -> int:
    """How many rungs are warm, over these precisions."""
    return sum(len(warm.get(precision, ())) for precision in precisions)
