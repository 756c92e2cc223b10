"""The decision about a limit, which processes count as HTTP processes, and what a checkout of a working tree holds."""

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from benchmarks.compare_commits.checkout import extract, prepare, working_tree_hash
from benchmarks.compare_commits.http_processes import ZYGOTE_MODULE, CpuClock, http_processes, lane_processes
from benchmarks.compare_commits.paired_ratio import (
    MAX_PAIRS,
    MIN_PAIRS,
    T_QUANTILES,
    Decision,
    RatioInterval,
    ratio_interval,
)
from tests.waiting import wait_until
from tools.errors import ToolError
from tools.local_server import LocalServer

# Arguments: this program, a name, and a JSON object. The process starts the children, forks copies of itself, says that
# it is ready, and uses the CPU for some seconds.
NODE = """
import json, os, subprocess, sys, time
program, name, node = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for child, of_child in node.get("children", {}).items():
    command = [sys.executable, "-c", program, program, child, json.dumps(of_child)]
    subprocess.Popen(command, stdout=subprocess.PIPE).stdout.readline()
for _ in range(node.get("forks", 0)):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
print("ready", flush=True)
while time.process_time() < node.get("busy_seconds", 0):
    pass
time.sleep(600)
"""
StartTree = Callable[[dict[str, Any]], psutil.Process]


@pytest.fixture
def start_tree() -> Iterator[StartTree]:
    """Start a tree of real processes, and end it after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(children: dict[str, Any]) -> psutil.Process:
        command = [sys.executable, "-c", NODE, NODE, "gunicorn", json.dumps({"children": children})]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return psutil.Process(process.pid)

    yield start
    for process in started:
        root = psutil.Process(process.pid)
        for each in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.NoSuchProcess):  # it has ended since it was listed
                each.kill()
        process.communicate()


def names(processes: list[psutil.Process]) -> list[str]:
    return sorted(process.cmdline()[4] for process in processes)


def test_lanes_zygote_and_gunicorn_are_no_http_processes(start_tree: StartTree) -> None:
    gunicorn = start_tree({"worker": {"children": {ZYGOTE_MODULE: {"forks": 3}}}})
    assert len(gunicorn.children(recursive=True)) == 5
    assert names(http_processes(gunicorn)) == ["worker"]


def test_text_processes_are_http_processes_wherever_the_worker_starts_them(start_tree: StartTree) -> None:
    text = {"text": {"forks": 1, "children": {"tracker": {}}}}
    gunicorn = start_tree({"worker": {"children": {ZYGOTE_MODULE: {"forks": 2}, **text}}})
    assert names(http_processes(gunicorn)) == ["text", "text", "tracker", "worker"]


def test_a_tree_without_zygote_is_refused(start_tree: StartTree) -> None:
    with pytest.raises(ToolError, match="cannot tell the lanes"):
        http_processes(start_tree({"worker": {"forks": 2}}))


def test_the_real_server_has_one_http_process_and_the_template_of_the_text_processes(server: LocalServer) -> None:
    gunicorn = psutil.Process(server.process.pid)
    (worker,) = gunicorn.children()
    template = [child for child in worker.children() if "serve.text_worker" in child.cmdline()]
    assert set(http_processes(gunicorn)) == {worker, *template}
    lanes = lane_processes(gunicorn)
    assert len(lanes) == len(server.info()["lanes"])
    assert {each.pid for each in worker.children(recursive=True)} > {each.pid for each in lanes}


def test_the_clock_counts_text_processes_and_not_lanes(start_tree: StartTree) -> None:
    with_busy_zygote = start_tree({"worker": {"children": {ZYGOTE_MODULE: {"busy_seconds": 30}}}})
    with_busy_text = start_tree({"worker": {"children": {ZYGOTE_MODULE: {}, "text": {"busy_seconds": 30}}}})
    idle, busy = CpuClock(with_busy_zygote), CpuClock(with_busy_text)
    wait_until("the text process has used the CPU", lambda: busy.seconds() >= 0.2)
    assert idle.seconds() < 0.05


def test_the_clock_refuses_to_lose_the_time_of_an_ended_process(start_tree: StartTree) -> None:
    gunicorn = start_tree({"worker": {"children": {ZYGOTE_MODULE: {}, "text": {}}}})
    clock = CpuClock(gunicorn)
    (text,) = (process for process in http_processes(gunicorn) if process.cmdline()[4] == "text")
    text.kill()
    # The worker of this test never asks for the exit status.
    wait_until("the text process has ended", lambda: text.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(ToolError, match=str(text.pid)):
        clock.seconds()


@pytest.mark.parametrize("pairs", [MIN_PAIRS, 12, MAX_PAIRS])
def test_the_interval_holds_the_true_ratio_in_95_of_100_runs(pairs: int) -> None:
    runs = 4000
    samples = np.exp(np.random.default_rng(pairs).normal(math.log(1.02), 0.05, (runs, pairs)))
    intervals = [ratio_interval(list(sample)) for sample in samples]
    share = sum(interval.low <= 1.02 <= interval.high for interval in intervals) / runs
    assert share == pytest.approx(0.95, abs=0.011)  # Three standard deviations of a share of 4,000 runs.


def test_there_is_a_quantile_for_each_number_of_pairs() -> None:
    assert len(T_QUANTILES) == MAX_PAIRS - MIN_PAIRS + 1
    assert list(T_QUANTILES) == sorted(T_QUANTILES, reverse=True)


def test_a_ratio_and_its_inverse_count_alike() -> None:
    there, back = ratio_interval([1.1, 1.2, 1.3, 1.2, 1.1]), ratio_interval([1 / r for r in (1.1, 1.2, 1.3, 1.2, 1.1)])
    assert (there.ratio, there.low, there.high) == pytest.approx((1 / back.ratio, 1 / back.high, 1 / back.low))


@pytest.mark.parametrize("count", [MIN_PAIRS - 1, MAX_PAIRS + 1])
def test_a_number_of_pairs_without_quantile_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} ratios"):
        ratio_interval([1.0] * count)


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [(0.99, 1.019, Decision.WITHIN), (1.021, 1.03, Decision.ABOVE), (1.0, 1.03, Decision.UNDECIDED)],
)
def test_only_an_interval_on_one_side_of_the_limit_decides(low: float, high: float, decision: Decision) -> None:
    assert RatioInterval(1.02, low, high).decide(1.02) is decision


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with a changed, a new and an ignored file."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    (root / "entrypoint.sh").write_text("old")
    (root / "entrypoint.sh").chmod(0o755)
    (root / ".gitignore").write_text("build/\n")
    git(root, "add", "--all")
    git(root, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "A commit")
    (root / "entrypoint.sh").write_text("changed")
    (root / "new.py").write_text("")
    (root / "build").mkdir()
    (root / "build" / "ignored").write_text("")
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def test_a_working_tree_is_extracted_as_it_is_without_ignored_files(repository: Path, tmp_path: Path) -> None:
    status = git(repository, "status", "--porcelain")
    extract(repository, working_tree_hash(repository), tmp_path / "target")
    files = {path.name for path in (tmp_path / "target").iterdir()}
    assert files == {"entrypoint.sh", ".gitignore", "new.py"}
    assert (tmp_path / "target" / "entrypoint.sh").read_text() == "changed"
    assert (tmp_path / "target" / "entrypoint.sh").stat().st_mode & 0o100
    assert git(repository, "status", "--porcelain") == status


def test_the_hash_of_a_working_tree_follows_its_files(repository: Path) -> None:
    before = working_tree_hash(repository)
    assert working_tree_hash(repository) == before
    (repository / "new.py").write_text("changed")
    assert working_tree_hash(repository) != before


def test_only_the_top_of_a_working_tree_is_accepted(repository: Path) -> None:
    (repository / "folder").mkdir()
    with pytest.raises(ToolError, match="not the top directory"):
        working_tree_hash(repository / "folder")


def test_an_unknown_revision_is_reported_with_what_git_says() -> None:
    with pytest.raises(ToolError, match="no-such-revision"):
        prepare("no-such-revision")
