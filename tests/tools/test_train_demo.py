"""Training of a small model, in processes of its own: other tests load IPEX, whose kernels have no gradient."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.tools.demo_files import CALIBRATION, HELD_OUT
from tests.waiting import wait_until
from tools.local_server import PROGRAM_DIR

TIMEOUT_S = 300


@pytest.fixture(scope="module")
def encoder(small_checkpoint: Any) -> Path:
    made: Path = small_checkpoint("electra")
    return made


def test_training_passes_its_checks_in_a_process_of_its_own() -> None:
    checks = Path(__file__).with_name("train_demo_checks.py")
    ended = _run("pytest", "-p", "no:cacheprovider", str(checks))
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


def test_an_interrupted_run_of_two_phases_ends_with_the_weights_of_an_uninterrupted_one(
    encoder: Path, tmp_path: Path
) -> None:
    straight = _run(*_arguments(encoder, tmp_path / "straight"))
    assert straight.returncode == 0, straight.stderr
    assert "keeps " in straight.stdout

    output, log = tmp_path / "resumed", tmp_path / "log"
    with log.open("wb") as file:
        killed = subprocess.Popen(_command(*_arguments(encoder, output)), cwd=PROGRAM_DIR, stdout=file, stderr=file)
    try:
        wait_until("the first state is saved", (output / "training" / "state.pt").exists, TIMEOUT_S)
    finally:
        killed.kill()
        killed.wait()
    assert not (output / "model.safetensors").exists(), log.read_text()
    resumed = _run(*_arguments(encoder, output))
    assert resumed.returncode == 0, resumed.stderr
    assert "continues after step" in resumed.stdout
    assert "training: " in resumed.stderr

    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("resumed", "straight"))
    assert ours.keys() == theirs.keys()
    assert all((ours[name] == theirs[name]).all() for name in theirs)
    assert (output / "README.md").read_text() == (tmp_path / "straight" / "README.md").read_text()
    assert not (output / "training").exists()

    refused = _run(*_arguments(encoder, output))
    assert refused.returncode == 1
    assert "holds a checkpoint already" in refused.stderr


def test_arguments_that_make_no_sense_are_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    for extra, message in (
        (("--average-last", "2"), "give both"),
        (("--phase", "a.json:0"), "FILE,FILE:TIMES"),
        (("--save-every", "0"), "not a number above 0"),
    ):
        ended = _run(*_arguments(tmp_path, tmp_path / "out")[:-6], *extra)
        assert ended.returncode != 0
        assert message in ended.stderr
        assert "Traceback" not in ended.stderr


def _arguments(encoder: Path, output: Path) -> list[str]:
    """Two phases of a few steps; the run measures often and averages."""
    phases = ["--phase", f"{HELD_OUT}", "--phase", f"{CALIBRATION},{HELD_OUT}:2"]
    rest = ["--evaluation", f"{HELD_OUT}", "--tokens-per-step", "12000", "--warmup-steps", "2", "--save-every", "1"]
    measured = ["--evaluate-every", "10", "--average-last", "2", "--peak-rate", "1e-3"]
    return ["tools.train_demo", "--encoder", str(encoder), "--output", str(output), *phases, *rest, *measured]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*arguments), cwd=PROGRAM_DIR, capture_output=True, text=True, timeout=3 * TIMEOUT_S, check=False
    )
