"""The number of series, and what is read at each scrape."""

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import get_args

import pytest

from container import cpu as cpus
from container.cpu import Cpu
from container.precision import Precision
from container.settings import Settings
from model_loader import artifact as artifacts
from model_loader.model_file import ModelFile
from serve.api.error_response import ERROR_STATUS, error_type
from serve.api.telemetry import gauges
from serve.errors import InvalidRequest, RequestError
from serve.lanes.memory_model import ModelSize
from serve.lanes.plan import Choices, LaneKind, make_plan
from serve.lifecycle import Lifecycle
from serve.metrics import exposition
from serve.processes.usage import ProcessUsage
from serve.request_metrics import REFUSALS, REFUSED, STAGES, RequestMetrics

FORMS = ("sample", "huggingface", "instances", "jsonlines")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MOST_SERIES = 400


@pytest.fixture
def large_server(demo_dir: Path) -> Lifecycle:
    """A server with every precision on a machine of two nodes with 32 cores each. No process is started."""
    box = Cpu("any", "AVX512_CORE_AMX", (tuple(range(32)), tuple(range(32, 64))), None)
    demo = artifacts.open_artifact(demo_dir, None, cpus.detect("DEFAULT"))
    (int8,) = (each for each in demo.models if each.precision == "INT8")
    models = tuple(ModelFile(each, int8.path, int8.engine, int8.inputs, None) for each in PRECISIONS)
    artifact = dataclasses.replace(
        demo, manifest=None, models=models, passed_over={"BF16": "a reason"}, max_seq_len=512
    )
    plan = make_plan(box, Choices(guard_lane=True), ModelSize(artifact.file_mb, artifact.max_seq_len), None)
    return Lifecycle(Settings(), artifact, box, plan)


def count_requests(lifecycle: Lifecycle) -> None:
    """Count requests of every status, reason, form and precision, and lines with every error that a line can have."""
    metrics = lifecycle.metrics
    for status in {200, 499, *ERROR_STATUS.values()}:
        metrics.request(status, 0.1, None, None)
    for reason in REFUSALS:
        metrics.request(REFUSED[0], 0.1, reason, None)
    for form in FORMS:
        for precisions in (set(), *({each} for each in PRECISIONS), {"INT8", "FP32"}):
            metrics.answered(form, precisions)
    of_a_line: list[Exception] = [each("") for each in InvalidRequest.__subclasses__()]
    for error in (*of_a_line, InvalidRequest(""), ValueError()):
        metrics.failed_lines.labels(error_type(error)).inc()
    for name in ("malformed_body", "payload_too_large", "inference_failed", "deadline_exceeded"):
        metrics.failed_lines.labels(name).inc()
    for stage in STAGES:
        metrics.of_stage[stage].observe(0.1)


def count_windows(lifecycle: Lifecycle) -> None:
    """Count windows of every rung, precision and kind of lane, and everything that can happen to lanes."""
    metrics, pool = lifecycle.metrics, lifecycle.pool
    for lane in pool.lanes:
        for precision in PRECISIONS if lane.spec.kind is not LaneKind.GUARD else ("FP32",):
            for rung in pool.rungs:
                metrics.window(lane.spec.kind.value, precision, rung, 0.01)
                pool.costs.observe(lane.spec.width, precision, rung, 10.0)
        metrics.lane_restarts.labels(lane.spec.kind.value).inc()
    for windows in (2, 4, 8, 16):
        metrics.batches.labels(str(windows)).inc()
    for result in ("agree", "differ", "skipped"):
        metrics.guard_answers.labels(result).inc()
    for process in ("gunicorn", "http", "zygote", "template", "text", *(kind.value for kind in LaneKind)):
        metrics.process_cpu_seconds.labels(process).inc()
        metrics.process_resident_memory_bytes.labels(process).set(1)
        metrics.processes.labels(process).set(1)


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
def test_a_server_on_64_cores_has_at_most_400_series_after_all_that_can_happen(
    large_server: Lifecycle, accept: str
) -> None:
    async def scrape() -> str:
        gauges.refresh(large_server)
        return exposition(large_server.metrics.registry, accept)[0].decode()

    assert sum(lane.spec.kind is LaneKind.NARROW for lane in large_server.pool.lanes) == 64
    assert {lane.spec.kind for lane in large_server.pool.lanes} == set(LaneKind)
    assert len(large_server.pool.rungs) == 32
    count_requests(large_server)
    count_windows(large_server)
    series = [line for line in asyncio.run(scrape()).splitlines() if line and not line.startswith("#")]
    assert {line.split("{")[0].split(" ")[0] for line in series} >= {"bertqa_rungs_warm", "bertqa_window_cost_seconds"}
    assert len(series) <= MOST_SERIES
    assert not any("_created" in line for line in series)


def test_windows_have_series_before_the_first_one_is_run(large_server: Lifecycle) -> None:
    """Without them, Prometheus would have no rate for a server that runs nothing, and would miss the first windows."""

    async def refresh() -> None:
        gauges.refresh(large_server)

    asyncio.run(refresh())
    (family,) = (each for each in large_server.metrics.registry.collect() if each.name == "bertqa_windows")
    found = {(each.labels["lane_kind"], each.labels["precision"]): each.value for each in family.samples}
    other_kinds = [kind.value for kind in LaneKind if kind is not LaneKind.GUARD]
    assert found == {("guard", "FP32"): 0, **{(kind, each): 0 for kind in other_kinds for each in PRECISIONS}}


def test_every_error_has_an_outcome_and_every_refusal_a_reason() -> None:
    refused = {error for error, status in ERROR_STATUS.items() if status in REFUSED}
    assert all(error.refusal or error.__name__ == "Overloaded" for error in refused)
    assert {error.refusal for error in refused if error.refusal} <= set(REFUSALS)
    assert not any(error.refusal for error in RequestError.__subclasses__() if error not in refused)


def test_the_cpu_time_of_a_kind_grows_by_what_its_processes_have_used_since_the_last_look() -> None:
    usage = ProcessUsage()
    first = usage.look([("here", os.getpid()), ("gone", 2**22 + 1)])
    assert set(first) == {"here"}
    assert (first["here"].processes, first["here"].resident_bytes > 2**20) == (1, True)
    used = sum(os.times()[:2])
    assert first["here"].cpu_seconds == pytest.approx(used, abs=0.1)
    while sum(os.times()[:2]) < used + 0.1:
        pass
    assert 0.05 <= usage.look([("here", os.getpid())])["here"].cpu_seconds <= used


def test_the_cpu_time_of_a_process_that_has_ended_is_kept_and_counted_once() -> None:
    usage, pid = ProcessUsage(), os.getpid()
    seen = usage.look([("text", pid)])["text"].cpu_seconds
    usage.note_end("text", pid, seen + 2)  # the look has returned the rest
    usage.note_end("text", 2**22 + 1, 3)  # between two looks
    found = usage.look([])
    assert found["text"].cpu_seconds == pytest.approx(5)
    assert (found["text"].processes, found["text"].resident_bytes) == (0, 0)
    assert usage.look([]) == {}


def test_the_cpu_time_of_a_kind_never_decreases_when_its_processes_are_replaced() -> None:
    metrics, usage, values = RequestMetrics(), ProcessUsage(), []
    this, parent = ("narrow", os.getpid()), ("narrow", os.getppid())
    for processes in ([this, parent], [this], [], [("http", 1)]):
        gauges.refresh_processes(metrics, usage, processes)
        values.append(metrics.registry.get_sample_value("bertqa_process_cpu_seconds_total", {"process": "narrow"}))
    assert None not in values
    assert values == sorted(value or 0.0 for value in values)
    assert metrics.registry.get_sample_value("bertqa_processes", {"process": "narrow"}) == 0
