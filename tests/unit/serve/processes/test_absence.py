"""Absence calls its function once, and only after the limit."""

import time

from serve.processes.absence import Absence


def test_the_function_is_called_once_after_the_limit_without_presence() -> None:
    calls: list[int] = []
    absence = Absence(0.2, lambda: calls.append(1))
    absence.note(is_present=False)
    assert calls == []
    time.sleep(0.15)
    absence.note(is_present=True)
    time.sleep(0.15)
    absence.note(is_present=False)
    assert calls == []
    time.sleep(0.25)
    absence.note(is_present=False)
    absence.note(is_present=False)
    assert calls == [1]
