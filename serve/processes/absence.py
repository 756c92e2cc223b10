"""Notices that something is missing for too long."""

import time
from collections.abc import Callable


class Absence:
    """Calls a function once something has been missing for `limit_seconds`."""

    def __init__(self, limit_seconds: float, on_limit: Callable[[], None]) -> None:
        self._limit_seconds = limit_seconds
        self._on_limit = on_limit
        self._missing_since: float | None = None
        self._is_over = False

    def note(self, *, is_present: bool) -> None:
        """Say whether it is there now. The function is called at most once."""
        now = time.monotonic()
        if is_present:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since > self._limit_seconds and not self._is_over:
            self._is_over = True
            self._on_limit()
