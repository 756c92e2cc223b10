"""The gauges of /metrics: what is read from the server at each scrape, and not counted while it happens."""

import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator

from container import cgroup, contract
from serve.lanes.plan import LaneKind
from serve.lifecycle import Lifecycle
from serve.processes.usage import ProcessUsage
from serve.request_metrics import RequestMetrics


def refresh(lifecycle: Lifecycle) -> None:
    """Set the gauges of one model to their present values, and count what has ended."""
    lifecycle.afterwards.flush()  # the counters include every request that has been answered
    metrics, pool = lifecycle.metrics, lifecycle.pool
    metrics.ready.set(lifecycle.is_healthy)
    metrics.requests_in_flight.set(lifecycle.afterwards.in_work)
    metrics.queue_windows.set(pool.waiting)
    metrics.queue_delay_seconds.set(lifecycle.engine.admission.queueing_delay_ms(windows=1) / 1000)
    _refresh_lanes(lifecycle)
    _refresh_model(lifecycle)
    of_server = _of_server() if lifecycle.is_alone else ()
    refresh_processes(metrics, lifecycle.usage, (*of_server, *_of_model(lifecycle)))
    if lifecycle.is_alone:
        _refresh_machine(metrics)


def refresh_server(metrics: RequestMetrics, usage: ProcessUsage) -> None:
    """Set the gauges of a server with many models that belong to none of them."""
    _refresh_machine(metrics)
    refresh_processes(metrics, usage, _of_server())


def _refresh_machine(metrics: RequestMetrics) -> None:
    try:
        free_bytes = cgroup.free_memory_mb() * 1e6
    except (OSError, ValueError):  # a sandbox may lack files of the control group, and /metrics works without them
        free_bytes = math.nan
    metrics.memory_free_bytes.set(free_bytes)
    metrics.build_info.labels(contract.VERSION, platform.python_version()).set(1)


def refresh_processes(metrics: RequestMetrics, usage: ProcessUsage, processes: Iterable[tuple[str, int]]) -> None:
    """Look at processes, and set the metrics of their kinds."""
    found = usage.look(processes)
    for kind, used in found.items():
        metrics.process_cpu_seconds.labels(kind).inc(used.cpu_seconds)
        metrics.process_resident_memory_bytes.labels(kind).set(used.resident_bytes)
        metrics.processes.labels(kind).set(used.processes)
    for (kind,) in list(metrics.processes._metrics):  # those of a kind have ended; the library has no public name
        if kind not in found:
            metrics.process_resident_memory_bytes.labels(kind).set(0)
            metrics.processes.labels(kind).set(0)


def _refresh_lanes(lifecycle: Lifecycle) -> None:
    metrics, pool = lifecycle.metrics, lifecycle.pool
    planned = Counter(lane.spec.kind.value for lane in pool.lanes)
    running = Counter(lane.spec.kind.value for lane in pool.lanes if lane.process is not None)
    for kind, count in planned.items():
        metrics.lanes_planned.labels(kind).set(count)
        metrics.lanes_up.labels(kind).set(running[kind])
        metrics.lane_restarts.labels(kind).inc(0)  # an increase is seen only if the series was there before
    metrics.rungs_planned.set(len(pool.rungs))
    longest = max(pool.rungs)
    for gauge in (metrics.rungs_warm, metrics.window_cost_seconds):
        gauge.clear()  # a precision may have been withdrawn
    for precision in pool.precisions.files:
        for kind in planned:
            if kind != LaneKind.GUARD.value or precision == "FP32":
                metrics.windows.labels(kind, precision).inc(0)  # else a server that runs no window has no rate
            lanes = [lane for lane in pool.lanes if lane.spec.kind == kind]
            metrics.rungs_warm.labels(kind, precision).set(min(len(lane.warm.get(precision, ())) for lane in lanes))
    widths = {lane.spec.width: lane.spec.kind.value for lane in reversed(pool.lanes)}  # the first lane of a width wins
    for width, precision, rung, cost_ms in pool.costs.rows():
        if rung == longest and width in widths and precision in pool.precisions.files:
            metrics.window_cost_seconds.labels(widths[width], precision).set(cost_ms / 1000)


def _refresh_model(lifecycle: Lifecycle) -> None:
    metrics, artifact = lifecycle.metrics, lifecycle.artifact
    metrics.passed_over.clear()
    for precision, reason in lifecycle.passed_over.items():
        metrics.passed_over.labels(precision, reason).set(1)
    metrics.model_info.clear()  # a precision may have been withdrawn
    for file in lifecycle.pool.precisions.files.values():
        sha256 = artifact.manifest.precisions[file.precision].sha256 if artifact.manifest else ""
        metrics.model_info.labels(artifact.name, file.precision, file.engine or "", sha256).set(1)


def _of_server() -> Iterator[tuple[str, int]]:
    yield "gunicorn", os.getppid()
    yield "http", os.getpid()


def _of_model(lifecycle: Lifecycle) -> Iterator[tuple[str, int]]:
    yield from lifecycle.supervisor.processes()
    yield from lifecycle.text_processes.processes()
