"""Paths that are requested all the time: their errors are counted, but few of them are logged."""

import time
from collections.abc import Iterable

LOG_SECONDS = 60


class QuietPaths:
    """Lets each of some paths write at most one log line for each status in LOG_SECONDS."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._next: dict[str, dict[int, float]] = {path: {} for path in paths}

    def allow(self, path: str, status: int) -> bool:
        """Whether a request with this path and status may write its line. Every other path always may."""
        of_path = self._next.get(path)
        if of_path is None:
            return True
        now = time.monotonic()
        if now < of_path.get(status, 0.0):  # one status does not hide another: anybody can send a wrong method
            return False
        of_path[status] = now + LOG_SECONDS
        return True
