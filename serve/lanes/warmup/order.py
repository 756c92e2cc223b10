"""In which order rungs and batches are warmed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sized

from container.precision import Precision
from model_loader import ladder
from model_loader.ladder import WarmStep

WARMUP_LIMIT_SECONDS = 120  # of one shape

WarmRungs = Mapping[Precision, Collection[int]]  # the rungs that are warm in one process


class WarmupOrder:
    """The order in which rungs are warmed.

    The longest rung comes first, because it holds every window. Then comes the rung that windows most often missed
    because it was not warm. Coarse rungs come before fine ones.
    """

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self._order = ladder.warm_order(rungs)
        self._wanted: Counter[WarmStep] = Counter()

    def want(self, step: WarmStep) -> None:
        """Record that a window was padded to a longer rung because this one was not warm."""
        self._wanted[step] += 1

    def next(self, warm: WarmRungs, precisions: Iterable[Precision]) -> WarmStep | None:
        """Return the next step that is missing in `warm`; None when all rungs of these precisions are warm."""
        missing = (
            WarmStep(precision, rung)
            for rung in self._order
            for precision in precisions
            if rung not in warm.get(precision, ())
        )
        longest = self._order[0]
        return max(missing, key=lambda step: (step.rung == longest, self._wanted[step]), default=None)


def count_shapes(warm: Mapping[Precision, Sized], precisions: Iterable[Precision]) -> int:
    """Return the number of warm rungs, or of warm batches, over these precisions."""
    return sum(len(warm.get(precision, ())) for precision in precisions)
