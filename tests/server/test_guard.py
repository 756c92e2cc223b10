"""The guard runs INT8's answers again in FP32 while cores are idle.

test_runbook.py shows that it notices when they differ too often.
"""

import os
from pathlib import Path

import psutil
import pytest

from tests.server.guarded import damage, outcomes, outcomes_after, questions
from tests.server.questions import post
from tests.server.server_process import error_messages, metric_lines, run_until_exit, server_processes
from tools.local_server import LocalServer

ALWAYS = {"GUARD_SHARE": "1", "RUNG_STEP": "64"}


def metric(server: LocalServer, name: str) -> float:
    """Return the value of a metric that has no labels."""
    (line,) = (line for line in metric_lines(server, f"{name} "))
    return float(line.split()[1])


@pytest.fixture
def damaged(artifact_copy: Path) -> Path:
    """A copy of the demo artifact with a damaged INT8 model."""
    damage(artifact_copy)
    return artifact_copy


def test_int8_answers_are_run_again_and_most_agree_with_fp32(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, ALWAYS, log=tmp_path / "log") as server:
        server.wait_until_warm()
        found = outcomes_after(server, 30)
        compared = found["agree"] + found.get("differ", 0)  # the others found no idle time, if another program has it
        assert compared >= 10
        assert found.get("differ", 0) <= 0.2 * 30  # 16 of 196 answers differ (docs/accuracy.md)
        assert metric(server, "bertqa_guard_share") >= compared / 30
        assert metric(server, "bertqa_guard_f1_sum") / metric(server, "bertqa_guard_f1_count") > 0.8
        rms = metric(server, "bertqa_guard_logit_rms_sum") / metric(server, "bertqa_guard_logit_rms_count")
        assert 0.01 < rms < 0.5
        guard = next(lane for lane in server.info()["lanes"] if lane["kind"] == "guard")
        (run,) = metric_lines(server, 'bertqa_windows_total{lane_kind="guard",precision="FP32"}')
        assert float(run.split()[-1]) >= compared
        lanes = server_processes(server).lanes
        assert any(lane.cpu_affinity() == guard["cores"] and is_in_idle_class(lane) for lane in lanes)


def is_in_idle_class(process: psutil.Process) -> bool:
    """Return whether the kernel runs this process only when a core is idle."""
    return os.sched_getscheduler(process.pid) == os.SCHED_IDLE


@pytest.mark.parametrize(
    "setting", [{"GUARD_SHARE": "0"}, {"PRECISIONS": "INT8", "GUARD_SHARE": "1"}], ids=["off", "no FP32"]
)
def test_there_is_no_guard_lane_if_the_guard_is_off_or_has_no_fp32(
    setting: dict[str, str], demo_dir: Path, tmp_path: Path
) -> None:
    with LocalServer(demo_dir, {**setting, "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        post(server, questions(1)[0]).raise_for_status()
        assert "guard" not in {lane["kind"] for lane in server.info()["lanes"]}
        assert outcomes(server) == {}


def test_the_guard_runs_no_fp32_answers_again(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, ALWAYS, log=tmp_path / "log") as server:
        for body in questions(3):
            post(server, {**body, "version": "FP32"}).raise_for_status()
        assert outcomes(server) == {}


def test_a_damaged_model_is_refused_because_of_its_golden_examples(damaged: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(damaged), "PRECISIONS": "INT8"})
    assert ended.returncode == 70
    assert any("different logits on this CPU" in message for message in error_messages(ended.stdout))
