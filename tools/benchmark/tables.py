"""The tables that benchmark prints, with the columns of the article."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from tools.benchmark.report import Row
from tools.fingerprint import summary_line
from tools.remote.instance_prices import Price

Column = tuple[str, Callable[[Row], str]]

_OFFERED: tuple[Column, ...] = (
    ("offered\nper s", lambda row: _number(row.offered_per_second)),
    ("of\npeak", lambda row: "-" if row.share_of_saturation is None else f"{row.share_of_saturation:.0%}"),
)
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
_FAILURES_AND_CORES: tuple[Column, ...] = (
    ("re-\nfused", lambda row: str(row.refused)),
    ("er-\nrors", lambda row: str(sum(row.errors.values()))),
    ("server\ncores", lambda row: _number(row.server_cores, 2)),
    ("load\ncores", lambda row: _number(row.generator_cores, 2)),
)


def print_tables(report: Mapping[str, Any], measured: Sequence[Row], price: Price) -> None:
    """Print what was measured and where, a table for each closed loop, one for all open loops, price and memory."""
    console = Console()
    data = report["data"]
    console.print(
        f"\n{summary_line(report['fingerprint'])}; {data['questions']} questions of {data['name']}", soft_wrap=True
    )
    for load in dict.fromkeys(row.load for row in measured if row.clients):
        console.print(closed_loop_table(load, [row for row in measured if row.load == load]))
    if in_open_loops := [row for row in measured if row.offered_per_second]:
        console.print(open_loop_table(in_open_loops))
    note = "; this is a default, not the price of the machine measured" if report["price"]["is_default"] else ""
    console.print(f"\n$ at {price}{note}", soft_wrap=True)
    if memory := max(row.server_memory_bytes or 0 for row in measured):
        console.print(f"the server's processes take {memory / 1e6:,.0f} MB (proportional set size)")


def closed_loop_table(load: str, measured: Sequence[Row]) -> Table:
    """Return the table of one closed loop: the columns of the article, then failures and cores."""
    return _table(f"\nclosed loop, {load}", measured, (*_LATENCIES, *_COST, *_FAILURES_AND_CORES))


def open_loop_table(measured: Sequence[Row]) -> Table:
    """Return the table of all open loops. Latencies count from the intended arrival."""
    return _table("\nopen loop, Poisson arrivals", measured, (*_OFFERED, *_LATENCIES, *_FAILURES_AND_CORES))


def _table(title: str, measured: Sequence[Row], columns: Sequence[Column]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column("")
    for name, _ in columns:
        table.add_column(name, justify="right")
    for row in measured:
        table.add_row(row.precision, *(cell(row) for _, cell in columns))
    return table


def _number(value: float | None, decimals: int = 1) -> str:
    """Format a number with about three digits, so that the table fits into 80 columns."""
    return "-" if value is None else f"{value:,.{0 if value >= 100 else decimals}f}"
