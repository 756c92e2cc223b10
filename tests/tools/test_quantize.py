"""The command quantize, and the demo artifact that it makes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from container import cpu
from model_loader import golden_examples, manifest
from model_loader.artifact import open_artifact
from model_loader.engines import torchscript
from model_loader.model_file import ModelFile
from tests.tools.command import error_of, run_entrypoint
from tests.tools.demo_files import CALIBRATION, DEMO
from tools.local_server import PROGRAM_DIR, LocalServer
from tools.quantize.golden_examples import read_golden_texts
from tools.squad.examples import read_examples


def test_the_demo_artifact_is_complete_fused_and_accurate(demo_dir: Path) -> None:
    made = manifest.read(demo_dir)
    assert list(made.precisions) == ["INT8", "FP32"]
    assert made.precisions["INT8"].fused_groups == 7 * made.layers + 2
    assert made.precisions["FP32"].rms_difference < 1e-4
    assert 0 < made.precisions["INT8"].rms_difference < 0.5
    texts = [(each.question, each.context) for each in read_golden_texts()]
    assert [(each.question, each.context) for each in made.golden_examples] == texts
    assert made.embedding_rows == 30522
    for entry in made.precisions.values():
        assert entry.accuracy
        assert entry.accuracy["questions"] == 196
    scores = [made.precisions[precision].accuracy for precision in ("INT8", "FP32")]
    assert abs(scores[0]["f1"] - scores[1]["f1"]) < 3  # type: ignore[index]
    assert scores[1]["f1"] > 60  # type: ignore[index]


@pytest.mark.parametrize(("model_type", "inputs"), [("electra", 3), ("distilbert", 2)])
def test_other_architectures_can_be_quantized_and_served(
    small_checkpoint: Any, model_type: str, inputs: int, tmp_path: Path
) -> None:
    import httpx

    output = tmp_path / "artifact"
    ended = run_entrypoint(
        "quantize", "--model", small_checkpoint(model_type), "--calibration", CALIBRATION, "--output", output,
        "--steps", 20, "--max-seq-len", 128, "--doc-stride", 32, "--precisions", "int8,bf16,fp32",
        "--fp32-engine", "torch",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "same answers" in ended.stdout
    made = manifest.read(output)
    assert (made.model_type, len(made.inputs), made.max_seq_len) == (model_type, inputs, 128)
    assert made.precisions["INT8"].fused_groups > 0
    assert made.precisions["FP32"].engine == "torchscript"
    assert [path.name for path in tmp_path.iterdir()] == ["artifact"]
    context = "It rained. " * 60 + "Zoë came."
    with LocalServer(output, log=tmp_path / "log") as server:
        for version in [p for p in ("INT8", "BF16", "FP32") if p in server.info()["precisions"]]:
            body = {"question": "Who?", "context": context, "version": version}
            answer = httpx.post(f"{server.url}/invocations", json=body, timeout=60).json()
            assert context[answer["start"] : answer["end"]] == answer["answer"] != ""
        has_bf16 = cpu.detect().has_bf16
        assert ("BF16" in server.info()["precisions"]) == has_bf16


def test_plain_torchscript_runs_without_ipex(small_checkpoint: Any, tmp_path: Path) -> None:
    import torch

    path = tmp_path / "model_fp32.pt"
    script = (
        "import sys, torch; from pathlib import Path; from tools.checkpoint.checkpoint import open_checkpoint;"
        "model = open_checkpoint(sys.argv[1]).load_model();"
        "ids = torch.ones(1, 16, dtype=torch.long);"
        "torch.jit.freeze(torch.jit.trace(model, (ids, ids), strict=False)).save(sys.argv[2])"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, small_checkpoint("distilbert"), path],
        cwd=PROGRAM_DIR,
        check=True,
    )
    model = torchscript.load(ModelFile("FP32", str(path), "torchscript", ("input_ids", "attention_mask"), 0))
    assert model.warm(32).fused_groups == 0
    assert torch.jit.load(str(path)) is not None


def test_a_warm_model_returns_the_logits_in_the_manifest(demo_dir: Path) -> None:
    artifact = open_artifact(demo_dir, None, cpu.detect())
    assert artifact.manifest
    for file in artifact.models:
        model = torchscript.load(file)
        model.warm(384)
        logits = [
            model.forward(np.array(example.input_ids), example.context_offset, 384)
            for example in artifact.manifest.golden_examples
        ]
        found = golden_examples.difference_from_reference(artifact.manifest, file.precision, logits)
        assert found <= golden_examples.allowed_difference(artifact.manifest, file.precision)
        assert golden_examples.rms_difference(artifact.manifest.golden_examples, logits, file.precision) < 1e-3


def test_bad_arguments_are_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps({"data": json.loads(CALIBRATION.read_text())["data"][:1]}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not delete")
    out = tmp_path / "out"
    for calibration, output, reason in (
        (few, out, "calibration needs at least 20"),
        (tmp_path / "missing.json", out, "cannot read"),
        (DEMO / "config.json", out, "not in SQuAD's format"),
        (CALIBRATION, tmp_path / "full", "holds files that are not an artifact"),
        (CALIBRATION, few, "is a file"),
        (CALIBRATION, Path("/proc/artifact"), "cannot be written"),
    ):
        ended = run_entrypoint("quantize", "--model", DEMO, "--calibration", calibration, "--output", output)
        assert reason in error_of(ended)
    assert (tmp_path / "full" / "thesis.txt").read_text() == "do not delete"
    assert not out.exists()
    few.write_text('{"data": []}')
    arguments = ("--model", tmp_path / "missing", "--calibration", CALIBRATION, "--output", out)
    assert "few.json contains no questions" in error_of(run_entrypoint("quantize", *arguments, "--evaluation", few))


def test_a_warning_says_that_evaluation_and_calibration_share_contexts_and_none_that_cuda_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))  # torch warns if this is set and there is no GPU
    ended = run_entrypoint(
        "quantize", "--model", tmp_path / "missing", "--calibration", CALIBRATION, "--evaluation", CALIBRATION,
        "--output", tmp_path / "out",
    )  # fmt: skip
    error_of(ended)
    assert "CUDA" not in ended.stderr
    contexts = len({example.context for example in read_examples(str(CALIBRATION))})
    assert ended.stdout.startswith(f"warning: {contexts} of {contexts} contexts of --evaluation {CALIBRATION} are also")
