"""The target load of an instance, from the configuration, or from a report in the form that the benchmark writes."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.unit.tools.benchmark.measurements import ARTICLE_PRICE, measured
from tools.benchmark.report import rows
from tools.benchmark.rounds import ClosedLoop, Measurement, OpenLoop
from tools.deploy.config import DeploymentConfig
from tools.deploy.steps.serving.scaling_policies import target_load
from tools.errors import ToolError


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Write a report in which INT8 is fastest with 8 clients and FP32 with 1. The faster open loop does not count."""
    found = [
        measured("FP32", 12, 80, under=ClosedLoop(1)),
        measured("FP32", 11, 700, under=ClosedLoop(8)),
        measured("INT8", 25, 40, under=ClosedLoop(1)),
        measured("INT8", 40, 200, under=ClosedLoop(8)),
        measured("INT8", 39, 800, under=ClosedLoop(32)),
        measured("INT8", 99, 200, under=OpenLoop(99.0)),
    ]
    path = tmp_path / "benchmark.json"
    return write_report(path, found)


def write_report(path: Path, found: Sequence[Measurement], instances: int = 1) -> Path:
    report = {"price": {"instances": instances}, "rows": [row.as_json() for row in rows(found, ARTICLE_PRICE)]}
    path.write_text(json.dumps(report))
    return path


def targets(**values: object) -> dict[str, float]:
    """Return the target load of each variant, by its name."""
    config = DeploymentConfig.model_validate({"max_instances": 2, **values})
    return {variant.name: target_load(config, variant) for variant in config.variants}


def test_the_target_in_invocations_is_half_of_what_the_best_closed_loop_answered_in_a_minute(report: Path) -> None:
    assert targets(benchmark=report) == {"AllTraffic": 40 * 0.5 * 60}


def test_the_target_in_concurrent_requests_is_half_of_the_clients_of_the_best_closed_loop(report: Path) -> None:
    assert targets(benchmark=report, scale_by="concurrency") == {"AllTraffic": 8 * 0.5}


def test_the_figures_of_several_instances_are_divided_by_their_number(tmp_path: Path) -> None:
    path = write_report(tmp_path / "benchmark.json", [measured("INT8", 40, 200, under=ClosedLoop(8))], instances=2)
    assert targets(benchmark=path) == {"AllTraffic": 40 / 2 * 0.5 * 60}
    assert targets(benchmark=path, scale_by="concurrency") == {"AllTraffic": 8 / 2 * 0.5}


def test_a_variant_for_one_precision_gets_the_target_of_that_precision(report: Path) -> None:
    traffic = "INT8=90,FP32=10"
    assert targets(benchmark=report, traffic=traffic) == {"INT8": 40 * 0.5 * 60, "FP32": 12 * 0.5 * 60}
    # Requests are whole, so a target of half a request would always be exceeded.
    assert targets(benchmark=report, traffic=traffic, scale_by="concurrency") == {"INT8": 4, "FP32": 1}


def test_a_configured_target_needs_no_benchmark_and_overrides_one(report: Path) -> None:
    assert targets(scale_target=700) == targets(scale_target=700, benchmark=report) == {"AllTraffic": 700}


def test_a_precision_that_the_benchmark_did_not_measure_is_named(report: Path) -> None:
    with pytest.raises(ToolError, match="no closed loop of BF16: run `make benchmark` again"):
        targets(benchmark=report, traffic="INT8=90,BF16=10")


def test_a_report_with_open_loops_only_is_refused(tmp_path: Path) -> None:
    path = write_report(tmp_path / "benchmark.json", [measured("INT8", 9, 9, under=OpenLoop(9.0))])
    with pytest.raises(ToolError, match="no closed loop of any precision"):
        targets(benchmark=path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02 no text",
        b"not json",
        b"[]",
        b"{}",
        b'{"rows": 3}',
        b'{"rows": ["INT8"]}',
        b'{"rows": [{"clients": 1, "queries_per_second": "fast", "precision": "INT8"}]}',
        b'{"rows": [{"clients": 1, "queries_per_second": 12.5}]}',
    ],
)
def test_a_file_that_is_not_a_report_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "benchmark.json"
    path.write_bytes(content)
    with pytest.raises(ToolError, match=r"benchmark.json is not a benchmark.json from `make benchmark`"):
        targets(benchmark=path)


def test_the_error_for_a_missing_file_says_which_command_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot read .*none.json: No such file or directory. `make benchmark` writes"):
        targets(benchmark=tmp_path / "none.json")
