"""Latency, throughput and cost over HTTP, in the article's columns, with real questions.

    python -m tools.benchmark --model-dir build/demo            # starts a server of its own
    python -m tools.benchmark --url http://127.0.0.1:8080       # or measures one that runs
    python -m tools.benchmark --endpoint bert-qa                # or a SageMaker endpoint

Closed loops first: each client sends its next question when it has the answer to the last. Then open loops: Poisson
arrivals, which wait for nothing; their latency counts from the intended arrival. Precisions take turns under each load.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from container.precision import PRECISIONS, Precision
from tools.answers.endpoint import EndpointSource
from tools.answers.server import ServerSource
from tools.answers.source import RULES, AnswerSource
from tools.arguments import parse_precisions
from tools.benchmark.arguments import parse
from tools.benchmark.plots import draw
from tools.benchmark.report import Row, closed_table, open_table, rows
from tools.benchmark.rounds import TURNS, Bench, Closed, Length, Open, Target
from tools.errors import ToolError, run
from tools.fingerprint import fingerprint, one_line, server_cores
from tools.local_server import LocalServer
from tools.process_tree import ProcessTree
from tools.remote.client import EndpointClient
from tools.remote.instance_prices import DEFAULT_INSTANCE, Price, price_of
from tools.squad.examples import Example, read_examples

CLIENTS_A_CORE = 2  # one that is served and one that waits, so that no core idles between two questions
_UNKNOWN_HARDWARE = (
    "what the endpoint runs on cannot be told (it is serverless, its variants differ, or you may not describe it)"
)
SHUFFLE_SEED = 0
REPORT_NAME = "benchmark.json"


def main() -> None:
    """Measure, print the tables, write the figures and the plots."""
    given = parse(sys.argv[1:], __doc__)
    examples = read_examples(given.data)
    if not examples:
        raise ToolError(f"{given.data} holds no questions")
    _make_directory(given.output)
    with ExitStack() as stack:
        source, target = _open(stack, given, examples)
        info = source.info()
        price = _price(given, info)
        found = _measure(target, _clients(given, info), given, price)
    report = {
        "fingerprint": fingerprint(info, "tools.benchmark", sys.argv[1:]),
        "data": {"name": Path(given.data).name, "questions": len(examples)},
        "price": {**asdict(price), "is_default": not (given.instance or given.dollars_per_hour or given.endpoint)},
        "rows": [row.as_json() for row in found],
    }
    (given.output / REPORT_NAME).write_text(json.dumps(report))
    _print(report, found, price)
    written = [given.output / REPORT_NAME, *draw(report, given.output)]
    Console(soft_wrap=True).print("wrote", ", ".join(str(path) for path in written))


def _open(
    stack: ExitStack, given: argparse.Namespace, examples: Sequence[Example]
) -> tuple[ServerSource | EndpointSource, Target]:
    """What to measure, and that it answers in each precision."""
    wanted = parse_precisions(given.precisions)
    source: ServerSource | EndpointSource
    if given.endpoint:
        endpoint = EndpointClient(given.endpoint, given.region)
        source = EndpointSource(endpoint, wanted)
        return source, Target(endpoint.url, None, _bodies(source, examples), source.endpoints)
    url = given.url.rstrip("/") if given.url else _start_server(stack, given)
    source = ServerSource(url, wanted)
    return source, Target(url, ProcessTree.behind(url), _bodies(source, examples))


def _bodies(source: AnswerSource, examples: Sequence[Example]) -> dict[Precision, list[bytes]]:
    """FP32 first, which the others are compared to.

    Shuffled, since neighbours in a file share their context, and each turn sends only a part of it.

    Raises: ToolError where a precision refuses the first.
    """
    shuffled = random.Random(SHUFFLE_SEED).sample(examples, len(examples))
    bodies = {}
    for precision in sorted(source.precisions, key=PRECISIONS.index, reverse=True):
        objects = [{"question": one.question, "context": one.context, "version": precision} for one in shuffled]
        bodies[precision] = [json.dumps(body).encode() for body in objects]
        list(source.answers(precision, shuffled[:1], RULES))
    return bodies


def _price(given: argparse.Namespace, info: Mapping[str, Any]) -> Price:
    endpoint = info.get("endpoint", {})
    instances = endpoint.get("instances") or 1
    if given.dollars_per_hour:
        return Price(None, given.dollars_per_hour, "the user", instances)
    instance = given.instance or endpoint.get("instance_type", DEFAULT_INSTANCE)
    if not instance:
        raise ToolError(f"{_UNKNOWN_HARDWARE}: give --dollars-per-hour for the cost")
    return replace(price_of(instance), instances=instances)


def _clients(given: argparse.Namespace, info: Mapping[str, Any]) -> Sequence[int]:
    if not given.clients and not server_cores(info):
        raise ToolError(f"{_UNKNOWN_HARDWARE}: give --clients, such as 1,8")
    return given.clients or sorted({1, CLIENTS_A_CORE * server_cores(info)})


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"cannot make {path}: {error.strerror}. Name another directory with --output") from None


def _start_server(stack: ExitStack, given: argparse.Namespace) -> str:
    return stack.enter_context(LocalServer(given.model_dir, log=given.output / "server.log")).url


def _measure(target: Target, clients: Sequence[int], given: argparse.Namespace, price: Price) -> list[Row]:
    shares = () if given.rates else given.load
    loads = len(clients) + len(given.rates or shares)
    found: list[Row] = []
    with Progress(
        *Progress.get_default_columns(), TimeElapsedColumn(), transient=True, refresh_per_second=2
    ) as progress:
        task = progress.add_task("", total=loads * len(target.bodies) * TURNS)
        bench = Bench(
            target,
            Length(given.seconds, given.requests),
            lambda what, done: progress.update(task, description=what, completed=done),
        )
        for number in clients:
            found += rows(bench.measure({precision: Closed(number) for precision in target.bodies}), price)
        best = {p: max(row.queries_per_second for row in found if row.precision == p) for p in target.bodies}
        for rate in given.rates or ():
            found += rows(bench.measure({precision: Open(rate) for precision in target.bodies}), price)
        for share in shares:
            found += rows(bench.measure({p: Open(share * best[p], share) for p in target.bodies}), price)
    return found


def _print(report: dict[str, Any], found: Sequence[Row], price: Price) -> None:
    console = Console()
    console.print(
        f"\n{one_line(report['fingerprint'])}; {report['data']['questions']} questions of {report['data']['name']}",
        soft_wrap=True,
    )
    for load in dict.fromkeys(row.load for row in found if row.clients):
        console.print(closed_table(f"\nclosed loop, {load}", [row for row in found if row.load == load]))
    if in_open_loop := [row for row in found if row.offered_per_second]:
        console.print(open_table(in_open_loop))
    note = "; a default, not the price of the machine measured" if report["price"]["is_default"] else ""
    console.print(f"\n$ at {price}{note}", soft_wrap=True)
    if memory := max(row.server_memory_bytes or 0 for row in found):
        console.print(f"the server's processes take {memory / 1e6:,.0f} MB (proportional set size)")


if __name__ == "__main__":
    run(main)
