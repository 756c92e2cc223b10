"""Paths that are requested all the time: their errors are counted, but few of them are logged."""

import time
from collections.abc import Iterable

LOG_SECONDS = 60


class QuietPaths:
    """Lets each of some paths write at most one log line in LOG_SECONDS."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._next: dict[str, float] = dict.fromkeys(paths, 0.0)

    def allow(self, path: str) -> bool:
        """Whether a request with this path may write its line. Every other path always may."""
        due = self._next.get(path)
        if due is None:
            return True
        now = time.monotonic()
        if now < due:
            return False
        self._next[path] = now + LOG_SECONDS
        return True
