"""Measure a target under all loads of a run: first the closed loops, then the open loops."""

import argparse
from collections.abc import Sequence

from rich.progress import Progress, TimeElapsedColumn

from tools.benchmark.report import Row, rows
from tools.benchmark.rounds import ROUNDS, ClosedLoop, Duration, OpenLoop, RoundRunner
from tools.benchmark.target import Target
from tools.remote.instance_prices import Price


def measure_all_loads(target: Target, clients: Sequence[int], given: argparse.Namespace, price: Price) -> list[Row]:
    """Return a row for each precision under each load.

    Args:
        target: what to measure.
        clients: the numbers of clients of the closed loops.
        given: the command line, which says how long to measure, and at which rates or shares of the best rate.
        price: what the server costs.

    Raises: ToolError if the server does not answer.
    """
    shares = () if given.rates else given.load
    loads = len(clients) + len(given.rates or shares)
    found: list[Row] = []
    with Progress(
        *Progress.get_default_columns(), TimeElapsedColumn(), transient=True, refresh_per_second=2
    ) as progress:
        task = progress.add_task("", total=loads * len(target.bodies) * ROUNDS)
        runner = RoundRunner(
            target,
            Duration(given.seconds, given.requests),
            lambda name, done: progress.update(task, description=name, completed=done),
        )
        for number in clients:
            found += rows(runner.measure({precision: ClosedLoop(number) for precision in target.bodies}), price)
        best = {p: max(row.queries_per_second for row in found if row.precision == p) for p in target.bodies}
        for rate in given.rates or ():
            found += rows(runner.measure({precision: OpenLoop(rate) for precision in target.bodies}), price)
        for share in shares:
            found += rows(runner.measure({p: OpenLoop(share * best[p], share) for p in target.bodies}), price)
    return found
