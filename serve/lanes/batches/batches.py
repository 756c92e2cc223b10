"""Which shapes of several windows the lanes may run in one call, and what such a call costs.

A call of the model streams all weights through the core's caches once, whatever the number of its windows. Where that
takes a large part of the time, several short windows in one call take less time than one after the other
(docs/decisions/0013). How much less depends on the CPU and the model, so it is measured after the warm-up (measure.py).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from container.precision import Precision
from model_loader.ladder import Batch
from serve.lanes.cost import CostTable

AUTO_WINDOWS = 4  # 8 windows gain up to 1.36 times more at 32 tokens, little from 128 on, and hold a core longer
MIN_GAIN = 1.1  # a smaller gain is not worth the memory of the compiled shape, and is near the noise of a measurement
LONGEST_RUNG = 192  # in tokens; the longest rung whose batches were measured (docs/decisions/0013)
LONGEST_PASSES = 2  # a call may take as long as this many windows of the longest rung, so that others wait no longer
MAX_FAILURES = 3  # calls of a shape that raised an error; then the shape is used no more

Gains = Mapping[Batch, float]  # how many times as fast windows are in one call as one after the other


class Batches:
    """The batches of one model. Narrow and background lanes run them; wide and guard lanes run single windows."""

    def __init__(self, rungs: tuple[int, ...], costs: CostTable, max_windows: int | None, max_shapes: int) -> None:
        """max_windows: of one call; None means AUTO_WINDOWS. max_shapes: what memory allows, for each precision."""
        self._rungs = rungs
        self._costs = costs
        self._max_windows = max_windows or AUTO_WINDOWS
        self._max_shapes = max_shapes
        self._gains: dict[Precision, dict[Batch, float]] = {}  # of the shapes that are in use
        self._failures: Counter[tuple[Precision, Batch]] = Counter()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of windows that a call may have, smallest first: powers of two."""
        return tuple(2**power for power in range(1, self._max_windows.bit_length()))

    @property
    def candidate_rungs(self) -> tuple[int, ...]:
        """Every second rung up to LONGEST_RUNG. A window of a rung between two of them is padded to the longer one."""
        if not self.sizes or not self._max_shapes:
            return ()
        return tuple(rung for rung in self._rungs[1::2] if rung <= LONGEST_RUNG)

    def chosen(self, precision: Precision) -> list[Batch]:
        """Return the shapes that are in use, the one that gains most first."""
        gains = self._gains.get(precision, {})
        return sorted(gains, key=lambda batch: -gains[batch])

    def choose(self, precision: Precision, gains: Gains) -> None:
        """Use the shapes that gain enough, and of these the ones that gain most."""
        is_better = [
            batch
            for batch, gain in gains.items()
            if gain >= MIN_GAIN
            and self._single_ms(precision, batch) / gain <= self._longest_ms(precision)
            # A larger call that does not beat a smaller one only holds its core longer.
            and all(
                gain > gains[other] for other in gains if other.rung == batch.rung and other.windows < batch.windows
            )
        ]
        kept = sorted(is_better, key=lambda batch: -gains[batch])[: self._max_shapes]
        self._gains[precision] = {batch: gains[batch] for batch in kept}

    def drop(self, precision: Precision, batch: Batch) -> None:
        """Use this shape no more."""
        self._gains[precision].pop(batch, None)

    def note_failure(self, precision: Precision, batch: Batch) -> None:
        """Note that a call of this shape has raised an error. After a few, the shape is used no more."""
        self._failures[precision, batch] += 1
        if self._failures[precision, batch] == MAX_FAILURES:
            self.drop(precision, batch)

    def gain(self, precision: Precision, batch: Batch) -> float:
        """Return how many times as fast the windows are in one call, if none of them needs padding."""
        return self._gains[precision][batch]

    def cost_ms(self, precision: Precision, batch: Batch) -> float:
        """Return the expected milliseconds of one call: it becomes slower or faster as single windows do."""
        return self._single_ms(precision, batch) / self._gains[precision][batch]

    def for_window(self, precision: Precision, tokens: int, warm: Collection[Batch], most: int) -> list[Batch]:
        """Return the shapes in which a window may share a call, those with most windows first.

        All of them have the same rung, the shortest one that holds the window. warm: the shapes of the lane.
        most: the largest number of windows.
        """
        in_use = self._gains.get(precision, {})
        found = [each for each in warm if each in in_use and each.windows <= most and self.holds(each.rung, tokens)]
        return sorted(found, key=lambda batch: -batch.windows)

    def holds(self, rung: int, tokens: int) -> bool:
        """Whether a window of `tokens` tokens may be padded to the rung of a batch: its own rung, or the next one."""
        index = self._rungs.index(rung)
        shortest = self._rungs[index - 2] if index >= 2 else 0
        return shortest < tokens <= rung

    def pays(self, precision: Precision, batch: Batch, single_ms: Sequence[float]) -> bool:
        """Whether a call gains enough, also after padding. single_ms: what each of its windows costs alone."""
        return sum(single_ms) >= MIN_GAIN * self.cost_ms(precision, batch)

    def _single_ms(self, precision: Precision, batch: Batch) -> float:
        """Return the milliseconds of the windows of a batch if they run one after the other."""
        return batch.windows * self._costs.cost_ms(1, precision, batch.rung)

    def _longest_ms(self, precision: Precision) -> float:
        return LONGEST_PASSES * self._costs.cost_ms(1, precision, self._rungs[-1])
