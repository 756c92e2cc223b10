"""The guard runs INT8's answers again in FP32 while cores are idle, and notices when they differ too often."""

import hashlib
import json
import os
import re
from pathlib import Path

import psutil
import pytest

from tests.artifacts import edit_manifest
from tests.server.questions import post
from tests.server.server_process import error_messages, metric_lines, run_until_exit, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer

EXAMPLES = Path(__file__).parents[2] / "models" / "demo" / "held_out.json"
ALWAYS = {"GUARD_SHARE": "1", "RUNG_STEP": "64"}


def questions(count: int) -> list[dict[str, str]]:
    """Return the first held-out questions of the demo model, as bodies of requests."""
    articles = json.loads(EXAMPLES.read_text())["data"]
    return [
        {"question": each["question"], "context": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
        for each in paragraph["qas"]
    ][:count]


def outcomes(server: LocalServer) -> dict[str, float]:
    """Return how many answers had each outcome in the guard."""
    lines = metric_lines(server, "bertqa_guard_answers_total")
    found = (re.match(r'bertqa_guard_answers_total\{result="(\w+)"\} (.+)', line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match and float(match[2])}


def outcomes_after(server: LocalServer, count: int) -> dict[str, float]:
    """Ask this many questions one after the other, and wait for the guard after each. Return the outcomes."""
    for asked, body in enumerate(questions(count), 1):
        post(server, body).raise_for_status()
        wait_until("the guard has run", lambda asked=asked: sum(outcomes(server).values()) == asked, 120)
    return outcomes(server)


def metric(server: LocalServer, name: str) -> float:
    """Return the value of a metric that has no labels."""
    (line,) = (line for line in metric_lines(server, f"{name} "))
    return float(line.split()[1])


@pytest.fixture
def damaged(artifact_copy: Path) -> Path:
    """Copy the demo artifact, and multiply the scales of the weights of one INT8 layer by 4. The hash is right.

    Multiplying the scale of an activation would not be enough. It makes the activation coarser by two bits, which
    the golden examples cannot tell from rounding.
    """
    import intel_extension_for_pytorch  # noqa: F401 - registers the operators of the file
    import torch

    file = artifact_copy / "model_int8.pt"
    model = torch.jit.load(file)
    weights = [node.inputsAt(0).node() for node in model.graph.nodes() if node.kind() == "aten::dequantize"]
    weights = [node for node in weights if node.kind() == "prim::Constant"]
    middle = weights[len(weights) // 2]
    weight = middle.t("value")
    scales, zero_points = weight.q_per_channel_scales(), weight.q_per_channel_zero_points()
    axis = weight.q_per_channel_axis()
    damage = torch._make_per_channel_quantized_tensor(weight.int_repr(), 4 * scales, zero_points, axis)
    middle.t_("value", damage)
    torch.jit.save(model, file)
    content = file.read_bytes()
    changed = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    edit_manifest(artifact_copy, lambda manifest: manifest["precisions"]["INT8"].update(changed))
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
        assert any(
            'lane_kind="guard",precision="FP32"' in line for line in metric_lines(server, "bertqa_windows_total")
        )
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


def test_a_damaged_model_lowers_the_agreement_and_causes_one_warning(damaged: Path, tmp_path: Path) -> None:
    """The limit on the difference of the golden examples is so high that the model is served."""
    edit_manifest(damaged, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=100.0))
    with LocalServer(damaged, {**ALWAYS, "GUARD_MIN_AGREEMENT": "0.9"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        found = outcomes_after(server, 130)
        assert found.get("agree", 0) < 0.8 * 130
    warnings = [line for line in (tmp_path / "log").read_text().splitlines() if "INT8 agrees with FP32" in line]
    assert len(warnings) == 1
