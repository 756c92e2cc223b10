"""Measure latency, throughput and price over HTTP with real questions, in the columns of the article.

    python -m tools.benchmark --model-dir build/demo            # starts a server
    python -m tools.benchmark --url http://127.0.0.1:8080       # measures a server that runs
    python -m tools.benchmark --endpoint bert-qa                # measures a SageMaker endpoint

Closed loops come first: each client sends its next question when it has the answer to the last one. Then come open
loops: questions arrive as a Poisson process and wait for nothing; their latency counts from the intended arrival.
Under each load, the precisions are measured in alternating rounds.
"""

import sys
from pathlib import Path

from rich.console import Console

from tools.benchmark.arguments import parse_arguments
from tools.benchmark.hardware import choose_clients, choose_price
from tools.benchmark.measuring import measure_all_loads
from tools.benchmark.plots import draw
from tools.benchmark.report import make_report, write_report
from tools.benchmark.tables import print_tables
from tools.benchmark.target import open_target
from tools.errors import ToolError, run
from tools.fingerprint import take_fingerprint
from tools.squad.examples import read_examples


def main() -> None:
    """Measure, print the tables, and write the report and the plots."""
    given = parse_arguments(sys.argv[1:], __doc__)
    examples = read_examples(given.data, reads_answers=False)
    if not examples:
        raise ToolError(f"{given.data} contains no questions")
    _make_directory(given.output)
    with open_target(given, examples) as (source, target):
        info = source.info()
        price = choose_price(given, info, target.find_price)
        rows = measure_all_loads(target, choose_clients(given, info), given, price)
    fingerprint = take_fingerprint(info, __package__, sys.argv[1:])
    report = make_report(given, len(examples), fingerprint, price, rows)
    report_file = write_report(report, given.output)
    print_tables(report, rows, price)
    written = [report_file, *draw(report, given.output)]
    Console(soft_wrap=True).print("wrote", ", ".join(str(path) for path in written))


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"cannot make {path}: {error.strerror}. Name another directory with --output") from None


if __name__ == "__main__":
    run(main)
