"""A command's errors and signals become exit codes, and SIGTERM still runs the command's context managers."""

import signal
import subprocess
import sys

import pytest

COMMAND = """
import asyncio, contextlib, time
import uvloop
from tools.errors import ToolError, run

@contextlib.contextmanager
def server():
    try:
        print("started", flush=True)
        yield
    finally:
        print("stopped", flush=True)

def main():
    with server():
        {body}

run(main)
"""


def start(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(body=body)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("body", ["time.sleep(60)", "uvloop.run(asyncio.sleep(60))", "asyncio.run(asyncio.sleep(60))"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_what_the_command_has_started(body: str, number: signal.Signals, code: int) -> None:
    with start(body) as command:
        assert command.stdout
        assert command.stdout.readline() == "started\n"
        command.send_signal(number)
        output, _ = command.communicate(timeout=60)
    assert (output, command.returncode) == ("stopped\n", code)


def test_an_error_of_the_servers_code_becomes_one_line_too() -> None:
    with start("from serve.errors import InvalidRequest; raise InvalidRequest('no')") as command:
        output, errors = command.communicate(timeout=60)
    assert (output, errors, command.returncode) == ("started\nstopped\n", "error: no\n", 1)


def test_a_tool_error_becomes_one_line_and_exit_code_1() -> None:
    with start("raise ToolError('the file [x] is missing')") as command:
        output, errors = command.communicate(timeout=60)
    assert (output, errors, command.returncode) == ("started\nstopped\n", "error: the file [x] is missing\n", 1)
