"""What a benchmark found: a row for each precision under each load, as JSON and as the article's table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from container.precision import Precision
from tools.benchmark.load import Load
from tools.benchmark.rounds import Closed, Measured, Open
from tools.remote.instance_prices import Price, dollars_per_million


@dataclass(frozen=True)
class Row:
    """One precision under one load. What a load or a server elsewhere does not have is None.

    clients: of a closed loop; offered_per_second, share_of_saturation: of an open one, which has no price a query.
    relative_performance_per_dollar: to the first row of the same load, FP32's where it was measured.
    errors: how many requests got which status, 0 for none; refusals (429) stand apart.
    server_memory_bytes: proportional set size of all the server's processes, with every precision that they hold.
    generator_cores: what of this machine the load generator used; sent_late_p99_ms: how late it was, in an open loop.
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
    turns: list[dict[str, float]]
    latencies_ms: list[float]

    def as_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def rows(measured: Sequence[Measured], price: Price) -> list[Row]:
    """The rows of one load, in the order given."""
    first = measured[0].load.queries_per_second
    return [_row(one, one.load, price, first) for one in measured]


def _row(measured: Measured, load: Load, price: Price, first_per_second: float) -> Row:
    under, turns = measured.under, measured.turns
    is_closed = isinstance(under, Closed)
    p50, p90, p99 = (round(load.percentile(q), 3) for q in (50, 90, 99))
    memory = [turn.server_memory_bytes for turn in turns if turn.server_memory_bytes is not None]
    cpu = [turn.server_cpu_seconds for turn in turns if turn.server_cpu_seconds is not None]
    late_ms = [(sample.sent_at - sample.intended_at) * 1000 for sample in load.samples]
    return Row(
        precision=measured.precision,
        load=str(under),
        clients=under.clients if isinstance(under, Closed) else None,
        offered_per_second=under.rate if isinstance(under, Open) else None,
        share_of_saturation=under.share if isinstance(under, Open) else None,
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
        turns=[{"queries_per_second": t.load.queries_per_second, "p50_ms": t.load.percentile(50)} for t in turns],
        latencies_ms=[round(latency, 3) for latency in load.answered_ms],
    )


Column = tuple[str, Callable[[Row], str]]

_LATENCIES: tuple[Column, ...] = (
    ("P50\nms", lambda row: _number(row.p50_ms)),
    ("P90\nms", lambda row: _number(row.p90_ms)),
    ("P99\nms", lambda row: _number(row.p99_ms)),
    ("queries\nper s", lambda row: _number(row.queries_per_second)),
)
_COST: tuple[Column, ...] = (
    ("$ per\nmillion", lambda row: _number(row.dollars_per_million, 2)),
    ("perf.\nper $", lambda row: _number(row.relative_performance_per_dollar, 2)),
)
_REST: tuple[Column, ...] = (
    ("re-\nfused", lambda row: str(row.refused)),
    ("er-\nrors", lambda row: str(sum(row.errors.values()))),
    ("server\ncores", lambda row: _number(row.server_cores, 2)),
    ("load\ncores", lambda row: _number(row.generator_cores, 2)),
)


def closed_table(load: str, of_one_load: Sequence[Row]) -> Table:
    """The article's columns and what belongs to them, for one closed loop."""
    return _table(load, of_one_load, (*_LATENCIES, *_COST, *_REST))


def open_table(of_all_loads: Sequence[Row]) -> Table:
    """Every open loop's rows. Latencies count from the intended arrival."""
    offered: tuple[Column, ...] = (
        ("offered\nper s", lambda row: _number(row.offered_per_second)),
        ("of\npeak", lambda row: "-" if row.share_of_saturation is None else f"{row.share_of_saturation:.0%}"),
    )
    return _table("\nopen loop, Poisson arrivals", of_all_loads, (*offered, *_LATENCIES, *_REST))


def _table(title: str, of: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column("")
    for name, _ in columns:
        table.add_column(name, justify="right")
    for row in of:
        table.add_row(row.precision, *(text(row) for _, text in columns))
    return table


def _number(value: float | None, digits: int = 1) -> str:
    """Three digits tell enough, and a table of them fits a terminal."""
    return "-" if value is None else f"{value:,.{0 if value >= 100 else digits}f}"
