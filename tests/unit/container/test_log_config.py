"""Log lines are JSON objects on stdout. Each test configures logging in a process of its own."""

import json
import subprocess
import sys
from typing import Any


def logged(level: str, statements: str) -> list[dict[str, Any]]:
    """Configure logging at this level, run the statements, and return the lines that appear on stdout."""
    script = f"import logging\nfrom container import log_config\nlog_config.configure({level!r})\n{statements}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_line_has_time_level_logger_message_and_the_extra_fields() -> None:
    (row,) = logged("INFO", "logging.getLogger('serve').info('%d answers', 2, extra={'form': 'sample'})")
    assert row.pop("time").startswith("20")
    assert row == {"level": "INFO", "logger": "serve", "message": "2 answers", "form": "sample"}


def test_a_traceback_stays_within_its_line() -> None:
    (row,) = logged("INFO", "try: 1 / 0\nexcept ZeroDivisionError: logging.exception('failed')")
    assert (row["level"], row["message"]) == ("ERROR", "failed")
    assert "ZeroDivisionError" in row["exc_info"]


def test_lines_below_the_level_are_left_out() -> None:
    statements = "log = logging.getLogger('serve')\nlog.info('one')\nlog.warning('two')"
    assert [row["message"] for row in logged("WARNING", statements)] == ["two"]
    assert [row["message"] for row in logged("INFO", statements)] == ["one", "two"]


def test_lines_of_gunicorn_and_uvicorn_appear_once_and_their_access_logs_do_not() -> None:
    rows = logged(
        "DEBUG",
        "for name in ('gunicorn', 'uvicorn'):\n"
        "    logging.getLogger(f'{name}.error').warning('x')\n"
        "    logging.getLogger(f'{name}.access').info('GET /ping')",
    )
    assert [row["logger"] for row in rows] == ["gunicorn.error", "uvicorn.error"]


def test_long_texts_in_a_line_lose_their_middle() -> None:
    statements = (
        "try: raise KeyError('k' * 10_000_000)\n"
        "except KeyError: logging.exception('a%sz', 'm' * 10_000_000, extra={'name_of_a_client': '\\x01' * 10_000_000})"
    )
    (row,) = logged("INFO", statements)
    assert row["message"].startswith("am")
    assert row["message"].endswith("mz")
    assert row["exc_info"].startswith("Traceback")
    assert all(len(text) < 8200 for text in row.values())
