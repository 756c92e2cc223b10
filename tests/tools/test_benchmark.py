"""The command benchmark against a real server: its tables, its report, its plots and its errors."""

import json
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import psutil
import pytest

from tests.tools.command import run_tool
from tools.benchmark.plots import draw
from tools.local_server import PROGRAM_DIR, LocalServer, free_port
from tools.remote.instance_prices import DEFAULT_INSTANCE

# One run with two closed loops and one open loop


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmark") / "made" / "by" / "the tool"


@pytest.fixture(scope="module")
def printed(server: LocalServer, output: Path) -> str:
    """What a short run prints. Its files are in `output`."""
    done = run_tool(
        "benchmark", "--url", server.url, "--clients", "1,3", "--load", "0.5", "--requests", "12", "--output", output
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def report(printed: str, output: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((output / "benchmark.json").read_text())
    return content


def test_each_precision_is_measured_under_each_load_with_fp32_first(report: dict[str, Any]) -> None:
    measured_loads = [(row["precision"], row["clients"], row["share_of_saturation"]) for row in report["rows"]]
    assert measured_loads == [
        *(("FP32", 1, None), ("INT8", 1, None)),
        *(("FP32", 3, None), ("INT8", 3, None)),
        *(("FP32", None, 0.5), ("INT8", None, 0.5)),
    ]


def test_the_figures_of_a_row_agree_with_its_latencies(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert row["requests"] == len(row["latencies_ms"]) == 12
        assert (row["refused"], row["errors"]) == (0, {})
        assert row["p50_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 50), abs=0.01)
        assert row["p90_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 90), abs=0.01)
        assert row["p99_ms"] == pytest.approx(np.percentile(row["latencies_ms"], 99), abs=0.01)
        assert row["queries_per_second"] == pytest.approx(12 / row["seconds"])
        assert len(row["rounds"]) == 2


def test_an_open_loop_offers_the_given_share_of_the_best_closed_loop(report: dict[str, Any]) -> None:
    for precision in ("FP32", "INT8"):
        of_precision = [row for row in report["rows"] if row["precision"] == precision]
        best = max(row["queries_per_second"] for row in of_precision if row["clients"])
        assert of_precision[-1]["offered_per_second"] == pytest.approx(best / 2)
        assert of_precision[-1]["sent_late_p99_ms"] >= 0
        assert of_precision[-1]["dollars_per_million"] is None


def test_cpu_and_memory_of_the_servers_processes_are_measured(report: dict[str, Any]) -> None:
    for row in report["rows"]:
        assert 0 < row["server_cores"] <= psutil.cpu_count() + 0.5
        assert row["server_memory_bytes"] > 100e6  # torch alone takes more than this
        assert 0 < row["generator_cores"] < 1


def test_the_fingerprint_describes_server_generator_and_command(
    report: dict[str, Any], server: LocalServer, output: Path
) -> None:
    fingerprint = report["fingerprint"]
    info = server.info()
    assert fingerprint["cpu"]["model"] == info["cpu"]["model"]
    assert fingerprint["cpu"]["isa"] == info["cpu"]["isa"]
    assert fingerprint["cpu"]["cores"] == len({core for lane in info["lanes"] for core in lane["cores"]})
    assert fingerprint["versions"] == info["versions"]
    assert fingerprint["server"]["model"]["name"] == info["model"]["name"]
    assert fingerprint["generator"]["aiohttp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", fingerprint["date"])
    assert fingerprint["command"].startswith(f"python -m tools.benchmark --url {server.url} --clients 1,3")
    assert f"'{output}'" in fingerprint["command"]  # quoted, since the path has spaces
    if (PROGRAM_DIR / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", fingerprint["commit"])
    assert report["data"] == {"name": "held_out.json", "questions": 196}
    assert report["price"]["instance"] == DEFAULT_INSTANCE
    assert report["price"]["is_default"] is True


def test_the_tables_show_the_figures_of_the_report(printed: str, report: dict[str, Any]) -> None:
    for title in ("closed loop, 1 client", "closed loop, 3 clients", "open loop, Poisson arrivals"):
        assert title in printed
    for row in report["rows"]:
        assert f"{row['p50_ms']:.{0 if row['p50_ms'] >= 100 else 1}f}" in printed
    assert f"{report['rows'][1]['relative_performance_per_dollar']:.2f}" in printed
    assert "…" not in printed  # no cell is cut off on a terminal of 80 columns
    assert "$0.408 an hour, ml.c6i.2xlarge" in printed
    assert "not the price of the machine measured" in printed
    assert report["fingerprint"]["cpu"]["model"] in printed


@pytest.mark.parametrize("name", ["latency_by_load.png", "latency_distribution.png"])
def test_each_plot_is_drawn_with_the_colours_of_both_precisions(name: str, printed: str, output: Path) -> None:
    picture = matplotlib.image.imread(output / name)
    assert picture.shape[:2] == (750, 1200)
    colours = {tuple((255 * pixel[:3]).astype(int)) for pixel in picture.reshape(-1, 4)}
    assert {(196, 78, 82), (31, 119, 180)} <= colours  # FP32's line and INT8's
    assert name in printed


def test_the_plots_can_be_drawn_again_from_the_report_alone(
    report: dict[str, Any], printed: str, output: Path, tmp_path: Path
) -> None:
    for again in draw(report, tmp_path):
        drawn = (matplotlib.image.imread(path) for path in (again, output / again.name))
        assert np.array_equal(*drawn)


def test_a_server_is_started_for_a_model_directory(demo_dir: Path, tmp_path: Path) -> None:
    done = run_tool(
        "benchmark",
        *("--model-dir", demo_dir, "--precisions", "int8", "--clients", 1, "--load", "none", "--requests", 4),
        *("--dollars-per-hour", 3.6, "--output", tmp_path),
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert row["dollars_per_million"] == pytest.approx(1e6 * 3.6 / 3600 / row["queries_per_second"])
    assert row["relative_performance_per_dollar"] == 1
    assert "$3.6 an hour, as given" in done.stdout
    assert "default" not in done.stdout
    assert not (tmp_path / "latency_by_load.png").exists()  # the plot needs an open loop
    log = (tmp_path / "server.log").read_text()
    assert log.count('"message":"invocation"') == 1 + 4  # the first question checks that the server answers


# Errors


def test_each_error_is_one_line_that_says_what_to_do(server: LocalServer, tmp_path: Path) -> None:
    empty, broken, file = tmp_path / "empty.json", tmp_path / "broken.json", tmp_path / "file"
    empty.write_text('{"data": []}')
    broken.write_text("{")
    file.write_text("")
    for arguments, message in (
        (["--url", f"http://127.0.0.1:{free_port()}"], "Is the server running?"),
        (["--url", f"{server.url}/docs"], "does another server run there?"),
        (["--url", server.url, "--precisions", "bf16"], "the server does not serve BF16: it serves INT8, FP32"),
        (["--url", server.url, "--precisions", "int4"], "--precisions int4: must be auto, or some of"),
        (["--url", server.url, "--data", empty], "contains no questions"),
        (["--url", server.url, "--data", broken], "is not in SQuAD's format"),
        (["--url", server.url, "--data", tmp_path / "missing.json"], "cannot read"),
        (["--url", server.url, "--instance", "ml.x9.huge"], "no price is known for ml.x9.huge"),
        (["--url", server.url, "--output", file / "below"], "Name another directory with --output"),
        (["--model-dir", tmp_path / "missing"], "exit code"),
    ):
        output = [] if "--output" in arguments else ["--output", tmp_path / "output"]
        done = run_tool("benchmark", *arguments, *output)
        assert done.returncode == 1, arguments
        assert message in done.stderr, arguments
        assert "Traceback" not in done.stderr
