"""The commands that the image runs, through entrypoint.sh."""

import json
from pathlib import Path

import pytest

from tests.tools.command import error_of, run_entrypoint
from tests.tools.demo_files import HELD_OUT
from tools.local_server import LocalServer


def test_benchmark_measures_a_running_server(server: LocalServer, tmp_path: Path) -> None:
    output = tmp_path / "figures"
    ended = run_entrypoint(
        "benchmark", "--url", server.url, "--requests", 20, "--clients", 2, "--load", "none",
        "--dollars-per-hour", 0.4, "--output", output,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    measured = json.loads((output / "benchmark.json").read_text())["rows"]
    assert [row["precision"] for row in measured] == ["FP32", "INT8"]
    for row in measured:
        assert row["errors"] == {}
        assert row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert row["dollars_per_million"] == pytest.approx(0.4 / 3600 / row["queries_per_second"] * 1e6)


def test_evaluate_and_benchmark_report_that_no_server_runs() -> None:
    for tool in ("evaluate", "benchmark"):
        ended = run_entrypoint(tool, "--url", "http://127.0.0.1:9", "--data", HELD_OUT)
        assert "Is the server running?" in error_of(ended)


def test_serve_passes_its_arguments_on(demo_dir: Path) -> None:
    ended = run_entrypoint("serve", "--plan", "--cores", 2, "--memory", "4Gi", "--model-dir", demo_dir)
    assert ended.returncode == 0, ended.stderr
    assert "  2 narrow\n" in ended.stdout
