"""`python -m serve --plan`: the lanes, the memory and the block `resources` for a machine that is only described."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from container import contract
from container.cpu import Cpu
from serve import arguments
from serve.lanes.memory_model import ModelSize
from serve.lanes.plan import Choices, Plan, make_plan
from serve.sizing import MIB, request_mib
from tests.unit.serve.lanes.model_files import BERT_BASE

ROOT = Path(__file__).parents[3]


def run_serve(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "serve", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def plan(cores: int, memory_mb: float | None) -> Plan:
    cpu = Cpu("any", "AVX512_CORE", (tuple(range(cores)),), quota=cores)
    return make_plan(cpu, Choices(guard_lane=True), ModelSize(BERT_BASE, 384), memory_mb)


def block_in(output: str) -> dict[str, Any]:
    """The block that the command prints, as YAML reads it."""
    found: dict[str, Any] = yaml.safe_load(output[output.index("resources:") :])["resources"]
    return found


@given(st.integers(1, 96), st.integers(500, 60_000))
def test_a_container_with_the_memory_that_the_plan_requests_makes_the_same_plan(cores: int, memory_mb: int) -> None:
    made = plan(cores, memory_mb)
    if made.memory_mb > memory_mb:
        requested_mb = request_mib(made, None) * MIB / 1e6
        assert requested_mb >= made.memory_mb
    else:
        requested_mb = request_mib(made, memory_mb) * MIB / 1e6
        assert memory_mb + 1 >= requested_mb
        again = plan(cores, requested_mb)
        assert (again.lanes, again.rung_step) == (made.lanes, made.rung_step)


@given(st.integers(1, 96))
def test_with_enough_memory_a_quarter_is_left_for_requests(cores: int) -> None:
    made = plan(cores, None)
    requested_mb = request_mib(made, None) * MIB / 1e6
    assert (made.memory_mb + made.batch_mb) / requested_mb <= 0.75
    assert plan(cores, requested_mb) == made


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("8Gi", 8 * 2**30 / 1e6), ("8192Mi", 8 * 2**30 / 1e6), ("8G", 8000), ("1.5G", 1500), ("2000000000", 2000)],
)
def test_memory_is_written_as_in_kubernetes(text: str, megabytes: float) -> None:
    assert arguments.parse(["--plan", "--memory", text]).memory == pytest.approx(megabytes)


@pytest.mark.parametrize(("text", "cores"), [("4", 4), ("3500m", 3.5), ("0.5", 0.5)])
def test_cores_are_written_as_in_kubernetes(text: str, cores: float) -> None:
    assert arguments.parse(["--plan", "--cores", text]).cores == pytest.approx(cores)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--plan", "--cores", "many"], "'many' is not a number of cores"),
        (["--plan", "--cores", "0"], "'0' is not a number of cores"),
        (["--plan", "--cores", "-1"], "'-1' is not a number of cores"),
        (["--plan", "--cores", "100000"], "more than 4096 cores"),
        (["--plan", "--memory", "8"], "write the unit too"),
        (["--plan", "--memory", "8 GB"], "is not an amount of memory"),
        (["--cores", "4"], "belong to --plan"),
        (["start"], "unrecognized arguments: start"),
    ],
)
def test_an_argument_that_cannot_be_used_ends_the_command(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(words)
    assert ended.value.code == contract.EXIT_USAGE
    assert message in capsys.readouterr().err


def test_help_says_that_settings_are_environment_variables() -> None:
    shown = run_serve("--help")
    assert shown.returncode == 0
    assert "MODEL_DIR names the artifact" in shown.stdout


def test_the_command_prints_lanes_memory_settings_and_the_block(demo_dir: Path) -> None:
    shown = run_serve("--plan", "--cores", 4, "--memory", "8Gi", "--model-dir", demo_dir)
    assert (shown.returncode, shown.stderr) == (0, "")
    for line in ("  4 narrow", "  1 wide, of 4 cores", "  4 background", "  1 guard", "  RUNG_STEP=16"):
        assert f"{line}\n" in shown.stdout
    files = json.loads((demo_dir / "manifest.json").read_text())["precisions"]
    cpu = Cpu("any", "AVX512_CORE", ((0, 1, 2, 3),), 4)
    sizes = {name: one["size_bytes"] / 1e6 for name, one in files.items()}
    choices = Choices(guard_lane=True, max_batch_windows=1)  # as tests/conftest.py sets it
    made = make_plan(cpu, choices, ModelSize(sizes, 384), 8 * 2**30 / 1e6)
    assert f"Expected memory: {made.memory_mb:,} MB\n" in shown.stdout
    block = block_in(shown.stdout)
    assert block["requests"] == block["limits"]  # so that the static CPU manager gives whole cores
    assert arguments.parse(["--plan", "--memory", block["limits"]["memory"]]).memory > made.memory_mb
    assert block["limits"]["cpu"] == "4"


@pytest.mark.parametrize(("cores", "memory"), [("4", "600Mi"), ("0.5", "4Gi")])
def test_a_machine_that_is_too_small_is_called_so(demo_dir: Path, cores: str, memory: str) -> None:
    shown = run_serve("--plan", "--cores", cores, "--memory", memory, "--model-dir", demo_dir)
    assert shown.returncode == contract.EXIT_TOO_SMALL
    assert "TOO SMALL: " in shown.stdout
    least = block_in(shown.stdout)["limits"]
    again = run_serve("--plan", "--cores", least["cpu"], "--memory", least["memory"], "--model-dir", demo_dir)
    assert again.returncode == 0, again.stdout


def test_short_memory_leaves_lanes_out_and_the_command_names_them(demo_dir: Path) -> None:
    shown = run_serve("--plan", "--cores", 4, "--memory", "1200Mi", "--model-dir", demo_dir)
    assert shown.returncode == 0
    assert re.search(
        r"^Left out, because memory is short: .*wide lanes.* hold everything\.$", shown.stdout, re.MULTILINE
    )


@pytest.mark.parametrize(("memory", "is_little"), [("1Gi", True), ("4Gi", False)])
def test_the_command_says_if_little_memory_is_left_for_requests(demo_dir: Path, memory: str, is_little: bool) -> None:
    shown = run_serve("--plan", "--cores", 1, "--memory", memory, "--model-dir", demo_dir)
    assert ("That is little: " in shown.stdout) == is_little


def test_without_an_artifact_the_command_ends_as_the_server_does(tmp_path: Path) -> None:
    ended = run_serve("--plan", "--cores", 4, "--memory", "8Gi", "--model-dir", tmp_path / "missing")
    assert ended.returncode == contract.EXIT_ARTIFACT
    assert "is not a directory" in ended.stderr
    assert ended.stderr.endswith(". With --plan, you can also name it in --model-dir\n")
