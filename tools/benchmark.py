"""Latency and throughput over HTTP, in the article's columns, with real questions.

    python -m tools.benchmark --model-dir build/demo            # starts a server of its own
    python -m tools.benchmark --url http://127.0.0.1:8080       # or measures one that runs

A closed loop: each client sends its next question when it has the answer to the last.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from container.precision import PRECISIONS, Precision
from tools.errors import ToolError, run
from tools.evaluate import parse_precisions
from tools.local_server import LocalServer
from tools.squad import Example, read_examples

DEFAULT_DATA = "models/demo/held_out.json"
WARM_UP_SECONDS = 600  # a large model's whole ladder on one core
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Measured:
    """One precision under one load. Latencies in milliseconds."""

    precision: Precision
    clients: int
    requests: int
    errors: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    queries_per_second: float
    dollars_per_million: float | None


def main() -> None:
    """Measure each precision, print the table, write the figures."""
    parser = argparse.ArgumentParser(
        prog="benchmark", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model-dir", type=Path, help="artifact to start a server on")
    source.add_argument("--url", help="a running server")
    parser.add_argument("--data", default=DEFAULT_DATA, help=f"questions in SQuAD's format (default: {DEFAULT_DATA})")
    parser.add_argument("--precisions", default="auto", help="such as int8,fp32 (default: all that are served)")
    parser.add_argument("--clients", type=int, default=1, help="questions under way at once (default: 1)")
    parser.add_argument("--requests", type=int, default=200, help="questions a precision (default: 200)")
    parser.add_argument("--dollars-per-hour", type=float, help="the instance's price, for the cost column")
    parser.add_argument("--output", type=Path, help="write the figures to this JSON file")
    given = parser.parse_args()
    if given.clients < 1 or given.requests < given.clients:
        parser.error("--requests must be at least --clients, and that at least 1")
    examples = read_examples(given.data)
    if not examples:
        raise ToolError(f"{given.data} holds no questions")
    with ExitStack() as stack:
        url = given.url or _start_server(stack, given.model_dir)
        limits = httpx.Limits(max_connections=given.clients)
        client = stack.enter_context(httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, limits=limits))
        try:
            info = client.get("/info").raise_for_status().json()
            served = [precision for precision in PRECISIONS if precision in info["precisions"]]
            measured = [
                _measure(client, precision, examples, given)
                for precision in parse_precisions(given.precisions) or served
            ]
        except httpx.HTTPError as error:
            raise ToolError(f"cannot ask {url}: {error}. Is the server running?") from None
    Console().print(_table(info, measured))
    if given.output:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        report = {"date": date, "server": info, "data": given.data, "measured": [asdict(row) for row in measured]}
        given.output.write_text(json.dumps(report, indent=1))


def _start_server(stack: ExitStack, model_dir: Path) -> str:
    server = stack.enter_context(LocalServer(model_dir))
    with Console().status("the server warms its ladder"):
        server.wait_until_warm(WARM_UP_SECONDS)
    return server.url


def _measure(
    client: httpx.Client, precision: Precision, examples: Sequence[Example], given: argparse.Namespace
) -> Measured:
    """Send the questions, in the file's order, over and over."""

    def ask(index: int) -> float | None:
        """Milliseconds until the answer; None for an error."""
        example = examples[index % len(examples)]
        body = {"question": example.question, "context": example.context, "version": precision}
        start = time.perf_counter()
        response = client.post("/invocations", json=body)
        progress.advance(task)
        return (time.perf_counter() - start) * 1000 if response.status_code == 200 else None

    with Progress(transient=True) as progress, ThreadPoolExecutor(given.clients) as pool:
        task = progress.add_task(f"{precision}, {given.clients} clients", total=given.requests)
        begin = time.perf_counter()
        times = list(pool.map(ask, range(given.requests)))
        seconds = time.perf_counter() - begin
    answered = [milliseconds for milliseconds in times if milliseconds is not None]
    if not answered:
        raise ToolError(f"no {precision} request was answered; ask the server's log")
    rate = len(answered) / seconds
    cost = given.dollars_per_hour / 3600 / rate * 1e6 if given.dollars_per_hour else None
    p90, p99 = np.percentile(answered, (90, 99))
    return Measured(
        precision,
        given.clients,
        given.requests,
        len(times) - len(answered),
        statistics.median(answered),
        float(p90),
        float(p99),
        rate,
        cost,
    )


def _table(info: dict[str, object], measured: Sequence[Measured]) -> Table:
    cpu = info["cpu"]
    assert isinstance(cpu, dict)
    table = Table(
        title=f"{cpu['model']}, {cpu['isa']}, {measured[0].clients} client(s), {measured[0].requests} requests"
    )
    for column in ("", "P50 ms", "P90 ms", "P99 ms", "queries/s", "$ per million", "errors"):
        table.add_column(column, justify="right")
    for row in measured:
        cost = "-" if row.dollars_per_million is None else f"{row.dollars_per_million:.2f}"
        times = [f"{value:.1f}" for value in (row.p50_ms, row.p90_ms, row.p99_ms)]
        table.add_row(row.precision, *times, f"{row.queries_per_second:.1f}", cost, str(row.errors))
    return table


if __name__ == "__main__":
    run(main)
