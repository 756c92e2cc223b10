"""Counts of metrics that are made later, many of them together.

Nobody looks at a counter or a histogram between two reads of /metrics. So what happened is only noted at first, which
takes a fraction of the time, and is counted when the metrics are read, or when there are many notes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from prometheus_client import Metric
from prometheus_client.registry import Collector

from serve.batched_calls import call_each

MAX_NOTES = 256  # counting them takes a few milliseconds


class DeferredCounts(Collector):
    """The counts that are due. Its registry collects it first, so the metrics after it include every count."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = (
            deque()
        )  # a thread may read the metrics while the event loop adds calls

    def add(self, count: Callable[..., None], *values: object) -> None:
        """Note that `count` has to be called with these values."""
        self._calls.append(partial(count, *values))
        if len(self._calls) >= MAX_NOTES:
            self.flush()

    def flush(self) -> None:
        """Make all counts that are due."""
        call_each(self._taken())

    def _taken(self) -> Iterator[Callable[[], None]]:
        with suppress(IndexError):
            while True:
                yield self._calls.popleft()

    def collect(self) -> Iterable[Metric]:
        """Make all counts that are due. There is no metric of its own."""
        self.flush()
        return ()
