"""The command line of benchmark."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.arguments import add_precisions, add_source, command_parser, positive_number, whole_number
from tools.remote.instance_prices import DEFAULT_INSTANCE

DEFAULT_DATA = "models/demo/held_out.json"
DEFAULT_OUTPUT = "build/benchmark"
DEFAULT_LOAD = "0.3,0.5,0.7,0.9"
DEFAULT_SECONDS = 12.0
MAX_RATE = 5000  # requests per second; the load generator is one process, which sends about 1,000
MAX_SHARE = 20
MAX_CLIENTS = 10_000


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    parser = command_parser("benchmark", description)
    add_source(parser, model_dir_help="an artifact; the benchmark starts a server on it")
    parser.add_argument(
        "--data",
        default=DEFAULT_DATA,
        metavar="FILE",
        help=f"questions in SQuAD's format, or squad:validation (default: {DEFAULT_DATA})",
    )
    add_precisions(parser, "auto", "all that are served")
    _add_loads(parser)
    cost = parser.add_mutually_exclusive_group()
    cost.add_argument(
        "--dollars-per-hour", "--price", type=positive_number, metavar="D", help="what one instance costs per hour"
    )
    cost.add_argument(
        "--instance",
        metavar="TYPE",
        help="take the price of this instance type from AWS's price list, if --endpoint is given and its list\n"
        "can be read, or else from tools/remote/instance_prices.py\n"
        f"(default: the endpoint's type; for a server, {DEFAULT_INSTANCE})",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(DEFAULT_OUTPUT),
        metavar="DIR",
        help=f"the directory for the report (JSON) and the plots (PNG) (default: {DEFAULT_OUTPUT})",
    )
    given = parser.parse_args(arguments)
    if given.requests is not None and given.clients and given.requests < max(given.clients):
        parser.error("--requests must be at least --clients")
    return given


def _add_loads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clients",
        type=_whole_numbers,
        metavar="N,...",
        help="closed loops with this many clients each (default: 1, and two for each physical core of the server)",
    )
    arrivals = parser.add_mutually_exclusive_group()
    arrivals.add_argument(
        "--load",
        type=_shares,
        default=DEFAULT_LOAD,
        metavar="SHARE,...",
        help="open loops at these shares of the best rate of the closed loops; or none for no open loop\n"
        f"(default: {DEFAULT_LOAD})",
    )
    arrivals.add_argument(
        "--rates", type=_rates, metavar="R,...", help="open loops at these rates, in questions per second"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--seconds",
        type=positive_number,
        default=DEFAULT_SECONDS,
        metavar="S",
        help=f"how long each precision is measured under each load (default: {DEFAULT_SECONDS:g})",
    )
    length.add_argument(
        "--requests", type=whole_number, metavar="N", help="how many questions each precision gets under each load"
    )


def _whole_numbers(text: str) -> tuple[int, ...]:
    numbers = _numbers(text, MAX_CLIENTS)
    if any(number != int(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers")
    return tuple(int(number) for number in numbers)


def _shares(text: str) -> tuple[float, ...]:
    return () if text == "none" else _numbers(text, MAX_SHARE)


def _rates(text: str) -> tuple[float, ...]:
    return _numbers(text, MAX_RATE)


def _numbers(text: str, largest: float) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < number <= largest for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of numbers above 0 and up to {largest:,}, such as 1,2,4"
        )
    return numbers
