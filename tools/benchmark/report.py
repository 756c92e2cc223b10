"""The result of a benchmark: a row of figures for each precision under each load, and the JSON report."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from container.precision import Precision
from tools.benchmark.load_generator import Load
from tools.benchmark.rounds import ClosedLoop, Measurement, OpenLoop
from tools.remote.instance_prices import Price, dollars_per_million

FILE_NAME = "benchmark.json"


@dataclass(frozen=True)
class Row:
    """One precision under one load.

    A figure is None if it makes no sense for the kind of load, or if the server runs on another machine.

    Attributes:
        clients: the number of clients (closed loops only).
        offered_per_second: the rate of the arrivals (open loops only).
        share_of_saturation: this rate as a share of the best rate of the closed loops (open loops only).
        errors: the number of requests by status; the status is 0 if there was no HTTP response. Refusals (429) are not
            among them.
        dollars_per_million: the price of a million queries (closed loops only).
        relative_performance_per_dollar: compared with the first row of the same load, which is FP32's if FP32 was
            measured (closed loops only).
        server_memory_bytes: the proportional set size of all processes of the server, with every precision it serves.
        generator_cores: how many cores of this machine the load generator used.
        sent_late_p99_ms: how late the load generator sent its requests (open loops only).
        rounds: throughput and median latency of each round.
    """

    precision: Precision
    load: str
    clients: int | None
    offered_per_second: float | None
    share_of_saturation: float | None
    seconds: float
    requests: int
    refused: int
    errors: dict[int, int]
    p50_ms: float
    p90_ms: float
    p99_ms: float
    queries_per_second: float
    dollars_per_million: float | None
    relative_performance_per_dollar: float | None
    server_cores: float | None
    server_memory_bytes: int | None
    generator_cores: float
    sent_late_p99_ms: float | None
    rounds: list[dict[str, float]]
    latencies_ms: list[float]

    def as_json(self) -> dict[str, Any]:
        """Return the row as the report stores it."""
        return asdict(self)


def rows(measurements: Sequence[Measurement], price: Price) -> list[Row]:
    """Return the rows of one load, in the order given."""
    first = measurements[0].load.queries_per_second
    return [_row(one, one.load, price, first) for one in measurements]


def _row(measurement: Measurement, load: Load, price: Price, first_per_second: float) -> Row:
    loop, rounds = measurement.loop, measurement.rounds
    is_closed = isinstance(loop, ClosedLoop)
    p50, p90, p99 = (round(load.percentile(q), 3) for q in (50, 90, 99))
    memory = [one.server_memory_bytes for one in rounds if one.server_memory_bytes is not None]
    cpu = [one.server_cpu_seconds for one in rounds if one.server_cpu_seconds is not None]
    late_ms = [(sample.sent_at - sample.intended_at) * 1000 for sample in load.samples]
    return Row(
        precision=measurement.precision,
        load=str(loop),
        clients=loop.clients if isinstance(loop, ClosedLoop) else None,
        offered_per_second=loop.rate if isinstance(loop, OpenLoop) else None,
        share_of_saturation=loop.share if isinstance(loop, OpenLoop) else None,
        seconds=load.seconds,
        requests=len(load.samples),
        refused=load.refused,
        errors=load.errors,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        queries_per_second=load.queries_per_second,
        dollars_per_million=dollars_per_million(price.total_dollars_per_hour, load.queries_per_second)
        if is_closed
        else None,
        relative_performance_per_dollar=load.queries_per_second / first_per_second if is_closed else None,
        server_cores=sum(cpu) / load.seconds if cpu else None,
        server_memory_bytes=max(memory, default=None),
        generator_cores=load.generator_cpu_seconds / load.seconds,
        sent_late_p99_ms=None if is_closed else float(np.percentile(late_ms, 99)),
        rounds=[
            {"queries_per_second": one.load.queries_per_second, "p50_ms": one.load.percentile(50)} for one in rounds
        ],
        latencies_ms=[round(latency, 3) for latency in load.answered_ms],
    )


def make_report(
    given: argparse.Namespace, questions: int, fingerprint: Mapping[str, Any], price: Price, measured: Sequence[Row]
) -> dict[str, Any]:
    """Return the report as a JSON object. It holds everything that the plots and the tables show."""
    is_default = not (given.instance or given.dollars_per_hour or given.endpoint)
    return {
        "fingerprint": fingerprint,
        "data": {"name": Path(given.data).name, "questions": questions},
        "price": {**asdict(price), "is_default": is_default},
        "rows": [row.as_json() for row in measured],
    }


def write_report(report: Mapping[str, Any], directory: Path) -> Path:
    """Write the report into a directory, and return its path."""
    path = directory / FILE_NAME
    path.write_text(json.dumps(report))
    return path
