"""The heartbeat over real processes: it finds those that are stopped or hang, and leaves the others alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from serve.processes.child import Activity, ChildProcess
from serve.processes.heartbeat import SUSPICIOUS_BEATS, Heartbeat
from tests.waiting import wait_until


class Peer:
    """A real process that owes an answer or not. It has begun to run its code."""

    def __init__(self, code: str, *, owes_answer: bool) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", f"import time\nprint(flush=True)\n{code}"], stdout=subprocess.PIPE
        )
        assert self.popen.stdout
        with self.popen.stdout:
            self.popen.stdout.readline()
        self.pid = self.popen.pid
        self._child = ChildProcess(self.pid)
        self.owes_answer = owes_answer
        self.owes_pong = False
        self.pings = 0

    def activity(self) -> Activity:
        return self._child.activity()

    def ping(self) -> None:
        self.pings += 1

    def kill(self) -> None:
        self._child.kill()
        self.popen.wait(60)


SLEEP, SPIN = "time.sleep(600)", "while True: pass"


@pytest.fixture
def peers() -> Iterator[list[Peer]]:
    started: list[Peer] = []
    yield started
    for each in started:
        each.kill()


def reasons(peer: Peer) -> list[str]:
    """Beat until a process that hangs must be found; return the reasons."""
    heartbeat = Heartbeat()
    found = []
    for _ in range(SUSPICIOUS_BEATS):
        found += [reason for _, reason in heartbeat.beat([peer])]
        time.sleep(0.1)
    return found


@pytest.mark.parametrize(
    ("code", "owes_answer", "is_stopped", "expected"),
    [
        (SLEEP, False, False, []),
        (SPIN, True, False, []),
        (SLEEP, True, False, ["owes an answer and does nothing"]),
        (SLEEP, False, True, ["was stopped by a signal"]),
        (SPIN, True, True, ["was stopped by a signal"]),
    ],
)
def test_only_stopped_and_hung_processes_are_found(
    peers: list[Peer], code: str, owes_answer: bool, is_stopped: bool, expected: list[str]
) -> None:
    peer = Peer(code, owes_answer=owes_answer)
    peers.append(peer)
    if is_stopped:
        os.kill(peer.pid, signal.SIGSTOP)
        wait_until("it is stopped", lambda: peer.activity().is_stopped)
    elif code == SLEEP:
        wait_until("it sleeps", lambda: peer.activity().state == "S")
    assert reasons(peer) == expected


def test_a_stopped_process_is_killed(peers: list[Peer]) -> None:
    peer = Peer(SLEEP, owes_answer=False)
    peers.append(peer)
    os.kill(peer.pid, signal.SIGSTOP)
    peer.kill()
    assert peer.popen.returncode == -signal.SIGKILL
