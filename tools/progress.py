"""The progress of long work: a bar in a terminal, and a line every minute where the output is not a terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int, str], None]


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
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(description, total=total, completed=done)
            yield lambda units, note: bar.update(task, advance=units, description=f"{description} {note}".rstrip())
    else:
        yield _Lines(console, description, (done, total), seconds_between_lines).advance


class _Lines:
    """Print a line from time to time, and one at the end."""

    def __init__(self, console: Console, description: str, done_and_total: tuple[int, int], seconds: float) -> None:
        done, total = done_and_total
        self._console = console
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

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a duration for people, such as `1 h 20 min` or `45 s`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"
