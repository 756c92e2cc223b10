"""The lifeline of a process that was just started. Each is a real process, stopped before it does anything."""

import signal
import subprocess
import sys

import pytest

from serve.processes.child import Lifeline, activity_of
from tests.waiting import wait_until

DOES_NOT_TIE_ITSELF = (sys.executable, "-c", "import time; time.sleep(300)")


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_process_that_was_just_started_ends_with_its_lifeline(is_stopped: bool) -> None:
    lifeline = Lifeline()
    process = subprocess.Popen(DOES_NOT_TIE_ITSELF, pass_fds=[lifeline.reading_end], start_new_session=True)
    if is_stopped:
        process.send_signal(signal.SIGSTOP)
        wait_until("the process is stopped", lambda: activity_of(process.pid).is_stopped)
    lifeline.tie(process.pid)
    assert process.poll() is None
    lifeline.cut()
    assert process.wait(60) == -signal.SIGKILL


def test_a_process_that_has_ended_is_not_tied() -> None:
    lifeline = Lifeline()
    process = subprocess.Popen([sys.executable, "-c", ""], pass_fds=[lifeline.reading_end], start_new_session=True)
    assert process.wait(60) == 0
    lifeline.tie(process.pid)


STARTS_A_ZYGOTE = """
import asyncio, os, signal, sys
from serve.lanes.zygote_client import Zygote

async def main():
    zygote = await Zygote.start((sys.executable, "-c", "import time; time.sleep(300)"))
    os.kill(zygote.pid, signal.SIGSTOP)
    print(zygote.pid, flush=True)
    await asyncio.sleep(300)

asyncio.run(main())
"""


def test_a_zygote_that_is_stopped_at_once_does_not_outlive_the_process_that_started_it() -> None:
    """Python takes some milliseconds to start, so a signal can come before the zygote has run a line of its own."""
    with subprocess.Popen([sys.executable, "-c", STARTS_A_ZYGOTE], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        zygote = int(starter.stdout.readline())
        wait_until("the zygote is stopped", lambda: activity_of(zygote).is_stopped)
        starter.kill()
    wait_until("the zygote has ended", lambda: activity_of(zygote).has_ended)
