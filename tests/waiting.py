"""Wait for a condition."""

import time
from collections.abc import Callable


def wait_until(what: str, is_true: Callable[[], bool], seconds: float = 60, poll_seconds: float = 0.02) -> None:
    """Wait until a condition is true, and fail if this takes longer than the given time.

    The time is long, because a machine that is busy with something else may hold up any process for seconds.

    what completes the sentence "waited until ...", for example "every lane is alive".
    """
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"waited {seconds} s until {what}"
        time.sleep(poll_seconds)
