"""The progress of long work, in a terminal and where the output is not a terminal."""

import io
import os
import pty
import subprocess
import sys

import pytest

from tools.local_server import PROGRAM_DIR
from tools.progress import duration, show_progress

MEASURES_WHILE_IT_TRAINS = """
from tools.progress import show_progress
with show_progress("training", 2) as advance:
    for _ in range(2):
        advance(1, "loss 0.5")
        with show_progress("measuring", 1) as advance_inner:
            advance_inner(1, "")
        print("F1 80.00")
"""


def test_lines_say_how_much_is_done_and_how_long_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    with show_progress("training", 2_000, done=1_000, seconds_between_lines=0) as advance:
        advance(400, "loss [0.5]")
        advance(600, "loss 0.4")
    assert output.getvalue().splitlines() == [
        "training: 1,000 of 2,000",
        "training: 1,400 of 2,000, loss [0.5], 0 s left",
        "training: 2,000 of 2,000, loss 0.4, 0 s left",
    ]


def test_no_line_comes_before_its_time_except_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    with show_progress("measuring", 3) as advance:
        for _ in range(3):
            advance(1, "")
    assert output.getvalue().splitlines() == ["measuring: 0 of 3", "measuring: 3 of 3, 0 s left"]


def test_a_bar_runs_inside_another_and_a_file_still_receives_the_output() -> None:
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", MEASURES_WHILE_IT_TRAINS]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    try:
        ended = subprocess.run(
            command, cwd=PROGRAM_DIR, env=environment, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False
        )
        shown = os.read(terminal, 100_000).decode()
    finally:
        os.close(terminal)
        os.close(theirs)
    assert ended.returncode == 0, shown
    assert ended.stdout == b"F1 80.00\n" * 2
    assert "training loss 0.5" in shown
    assert "measuring" in shown


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5_900, "98 min"), (6_060, "1 h 41 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
