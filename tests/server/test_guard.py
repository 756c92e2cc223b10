"""The guard: INT8's answers run again in FP32, in a lane that runs where nothing else would."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from tests.server.test_process import edit_manifest, error_lines, metric_lines, processes, run_until_exit, wait_for
from tools.local_server import LocalServer

EXAMPLES = Path(__file__).parents[2] / "models" / "demo" / "held_out.json"
ALWAYS = {"GUARD_SHARE": "1", "RUNG_STEP": "64"}


def questions(count: int) -> list[dict[str, str]]:
    articles = json.loads(EXAMPLES.read_text())["data"]
    return [
        {"question": each["question"], "context": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
        for each in paragraph["qas"]
    ][:count]


def ask(server: LocalServer, body: dict[str, str]) -> None:
    httpx.post(f"{server.url}/invocations", json=body, timeout=60).raise_for_status()


def outcomes(server: LocalServer) -> dict[str, float]:
    found = (re.match(r'bertqa_guard_answers_total\{outcome="(\w+)"\} (.+)', line) for line in
             metric_lines(server, "bertqa_guard_answers_total"))  # fmt: skip
    return {match[1]: float(match[2]) for match in found if match}


def guarded(server: LocalServer, count: int) -> dict[str, float]:
    """Ask one after the other, the guard being given time for each."""
    for asked, body in enumerate(questions(count), 1):
        ask(server, body)
        wait_for("the guard", lambda asked=asked: sum(outcomes(server).values()) == asked, 60)
    return outcomes(server)


def metric(server: LocalServer, name: str) -> float:
    (line,) = (line for line in metric_lines(server, f"{name} "))
    return float(line.split()[1])


@pytest.fixture
def damaged(demo_dir: Path, tmp_path: Path) -> Path:
    """A copy whose INT8 file has one layer's weight scales times 4, with hashes that match.

    An activation's scale times 4 would be no damage: it is coarser by two bits, and no golden example tells it
    from rounding.
    """
    import intel_extension_for_pytorch  # noqa: F401 - the file's operators
    import torch

    directory = Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
    file = directory / "model_int8.pt"
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
    edit_manifest(directory, lambda manifest: manifest["precisions"]["INT8"].update(changed))
    return directory


def test_answers_are_run_again_and_agree_as_often_as_they_should(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, ALWAYS, log=tmp_path / "log") as server:
        server.wait_until_warm()
        found = guarded(server, 30)
        assert found["agree"] >= 0.8 * 30  # 16 of the 196 change (docs/accuracy.md)
        assert "skipped" not in found
        assert metric(server, "bertqa_guard_share") == 1
        assert metric(server, "bertqa_guard_f1_sum") / metric(server, "bertqa_guard_f1_count") > 0.8
        rms = metric(server, "bertqa_guard_logit_rms_sum") / metric(server, "bertqa_guard_logit_rms_count")
        assert 0.01 < rms < 0.5
        guard = next(lane for lane in server.info()["lanes"] if lane["kind"] == "guard")
        assert any('lane="guard-0",precision="FP32"' in line for line in metric_lines(server, "bertqa_windows_total"))
        assert any(
            lane.cpu_affinity() == guard["cores"] and os_class(lane) == "idle" for lane in processes(server)["lanes"]
        )


def os_class(process: psutil.Process) -> str:
    return "idle" if os.sched_getscheduler(process.pid) == os.SCHED_IDLE else "other"


@pytest.mark.parametrize(
    "setting", [{"GUARD_SHARE": "0"}, {"PRECISIONS": "INT8", "GUARD_SHARE": "1"}], ids=["off", "no FP32"]
)
def test_off_costs_nothing(setting: dict[str, str], demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {**setting, "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        ask(server, questions(1)[0])
        assert "guard" not in {lane["kind"] for lane in server.info()["lanes"]}
        assert outcomes(server) == {}


def test_only_int8_is_guarded(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, ALWAYS, log=tmp_path / "log") as server:
        for body in questions(3):
            ask(server, {**body, "version": "FP32"})
        assert outcomes(server) == {}


def test_a_damaged_file_is_refused_by_its_golden_examples(damaged: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(damaged), "PRECISIONS": "INT8", "HOST": "127.0.0.1", "PORT": "18479"})
    assert ended.returncode == 70
    assert any("other numbers here" in line for line in error_lines(ended.stdout))


def test_a_damaged_file_shows_in_the_agreement_and_is_warned_of_once(damaged: Path, tmp_path: Path) -> None:
    """Its golden examples, too, are made to let it pass."""
    edit_manifest(damaged, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=100.0))
    with LocalServer(damaged, {**ALWAYS, "GUARD_MIN_AGREEMENT": "0.9"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        found = guarded(server, 130)
        assert found.get("agree", 0) < 0.8 * 130
    warnings = [line for line in (tmp_path / "log").read_text().splitlines() if "INT8 agrees with FP32" in line]
    assert len(warnings) == 1
