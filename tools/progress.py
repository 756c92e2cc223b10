"""The progress of long work: a bar in a terminal, and a line every minute where the output is not a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int, str], None]
# All bars share one console, so that one can run inside another.
CONSOLE = Console(stderr=True)


@contextmanager
def show_progress(
    description: str, total: int, done: int = 0, *, seconds_between_lines: float = 60
) -> Iterator[Advance]:
    """Show how much of the work is done, on the standard error stream.

    Args:
        description: what is being done, such as "training".
        total: the number of units of the whole work.
        done: how many of them an earlier run has done.
        seconds_between_lines: the least time between two lines, where the output is not a terminal.

    Yields: a function to call after each part of the work, with the number of units and a note, such as the loss.
    """
    if CONSOLE.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # What the program prints goes above the bar, unless the output is a file, which must receive it.
        with Progress(*columns, console=CONSOLE, redirect_stdout=sys.stdout.isatty()) as bar:
            task = bar.add_task(description, total=total, completed=done)
            yield lambda units, note: bar.update(task, advance=units, description=f"{description} {note}".rstrip())
    else:
        yield _Lines(description, (done, total), seconds_between_lines).advance


class _Lines:
    """Print a line from time to time, and one at the end."""

    def __init__(self, description: str, done_and_total: tuple[int, int], seconds: float) -> None:
        done, total = done_and_total
        self._description, self._total, self._seconds = description, total, seconds
        self._done = self._first = done
        self._begun = self._printed = time.monotonic()
        self._print(f"{description}: {done:,} of {total:,}")

    def advance(self, units: int, note: str) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._printed < self._seconds and self._done < self._total:
            return
        self._printed = now
        left = (now - self._begun) / (self._done - self._first) * (self._total - self._done)
        parts = (f"{self._description}: {self._done:,} of {self._total:,}", note, f"{duration(left)} left")
        self._print(", ".join(filter(None, parts)))

    @staticmethod
    def _print(text: str) -> None:
        CONSOLE.print(text, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a duration for people, such as `1 h 20 min` or `45 s`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
