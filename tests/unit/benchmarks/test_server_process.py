"""A server for a benchmark is awaited, and ended with all its children."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.server_process import server_process, wait_until
from tests import waiting
from tools.errors import ToolError

PARENT_OF_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], process_group=PROCESS_GROUP)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("process_group", [None, 0], ids=["in the group", "in a group of its own"])
def test_all_descendants_end_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process_group: int | None
) -> None:
    monkeypatch.setattr("benchmarks.server_process.STOP_SECONDS", 1)
    log = tmp_path / "logs" / "log"
    program = PARENT_OF_A_CHILD.replace("PROCESS_GROUP", str(process_group))
    with server_process([sys.executable, "-c", program], {}, log) as process:
        wait_until(lambda: log.read_text().endswith("\n"), process, log, seconds=60)
        pids = (process.pid, int(log.read_text()))
        assert all(map(psutil.pid_exists, pids))
    waiting.wait_until("both have ended", lambda: not any(map(_runs, pids)))


def test_sigterm_ends_the_benchmark_and_its_server(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = (
        "import sys, time; from pathlib import Path; from benchmarks.server_process import *\n"
        "exit_on_sigterm()\n"
        f"with server_process(['sleep', '60'], {{}}, Path({str(log)!r})) as process:\n"
        "    print(process.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as benchmark:
        assert benchmark.stdout
        server = int(benchmark.stdout.readline())
        assert _runs(server)
        benchmark.terminate()
        assert benchmark.wait(60) == 128 + signal.SIGTERM
    assert not _runs(server)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE  # Nobody may ask for an orphan's exit status.
    except psutil.NoSuchProcess:
        return False


def test_a_server_that_ends_too_early_is_reported_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        server_process([sys.executable, "-c", "raise SystemExit(3)"], {}, log) as process,
        pytest.raises(ToolError, match=rf"exit code 3 .*{log}"),
    ):
        wait_until(lambda: False, process, log, seconds=60)


def test_a_refused_connection_means_not_ready_yet(tmp_path: Path) -> None:
    log, attempts = tmp_path / "log", []

    def is_ready() -> bool:
        attempts.append(1)
        if len(attempts) == 1:
            raise httpx.ConnectError("refused")
        return True

    with server_process(["sleep", "60"], {}, log) as process:
        wait_until(is_ready, process, log, seconds=60)
    assert len(attempts) == 2


def test_the_environment_is_added_to_the_own_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "one")
    log = tmp_path / "log"
    with server_process(["sh", "-c", "echo $INHERITED $ADDED; sleep 60"], {"ADDED": "two"}, log) as process:
        wait_until(lambda: log.read_text() == "one two\n", process, log, seconds=60)
