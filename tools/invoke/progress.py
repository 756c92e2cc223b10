"""Show how far a run over a file is: a bar in a terminal, and elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 30.0


def with_progress(items: Sequence[T]) -> Iterator[T]:
    """Yield the items, and show on standard error how many have been worked on."""
    if sys.stderr.isatty():
        yield from track(items, "Questions", console=Console(stderr=True))
    else:
        yield from _with_lines(items)


def _with_lines(items: Sequence[T]) -> Iterator[T]:
    started = shown = time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() - shown >= SECONDS_BETWEEN_LINES:
            shown = time.monotonic()
            left = (len(items) - count) * (shown - started) / count
            print(f"{count} of {len(items)} questions, about {left:.0f} s left", file=sys.stderr, flush=True)
    print(f"{len(items)} questions in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
