"""The benchmark's command line."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from tools.remote.instance_prices import DEFAULT_INSTANCE

DEFAULT_DATA = "models/demo/held_out.json"
DEFAULT_OUTPUT = "build/benchmark"
DEFAULT_LOAD = "0.3,0.5,0.7,0.9"
DEFAULT_SECONDS = 12.0
MAX_RATE = 5000  # a second; the generator, one process, sends some 1,000
MAX_SHARE = 20
MAX_CLIENTS = 10_000


def parse(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Ends the process with a message where the arguments make no sense."""
    parser = argparse.ArgumentParser(
        prog="benchmark", description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model-dir", type=Path, help="artifact to start a server on")
    source.add_argument("--url", help="a running server")
    source.add_argument("--endpoint", metavar="NAME", help="a SageMaker endpoint; needs boto3 and credentials")
    parser.add_argument("--region", help="of the endpoint (default: AWS's own settings)")
    parser.add_argument("--data", default=DEFAULT_DATA, help=f"questions in SQuAD's format (default: {DEFAULT_DATA})")
    parser.add_argument("--precisions", default="auto", help="such as int8,fp32 (default: all that are served)")
    _add_loads(parser)
    cost = parser.add_mutually_exclusive_group()
    cost.add_argument(
        "--dollars-per-hour", "--price", type=_positive, metavar="D", help="an instance's price, for the cost"
    )
    cost.add_argument(
        "--instance",
        help=f"take its price from tools/prices.py (default: the endpoint's, for others {DEFAULT_INSTANCE})",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(DEFAULT_OUTPUT),
        metavar="DIR",
        help=f"where figures (JSON) and plots (PNG) go (default: {DEFAULT_OUTPUT})",
    )
    given = parser.parse_args(arguments)
    if given.requests is not None and given.clients and given.requests < max(given.clients):
        parser.error("--requests must be at least --clients")
    return given


def _add_loads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clients",
        type=_integers,
        metavar="N,...",
        help="closed loops, of so many clients each (default: 1, and two for each physical core of the server)",
    )
    arrivals = parser.add_mutually_exclusive_group()
    arrivals.add_argument(
        "--load",
        type=_shares,
        default=DEFAULT_LOAD,
        metavar="SHARE,...",
        help=f"open loops, at shares of the best rate of the closed loops, or none (default: {DEFAULT_LOAD})",
    )
    arrivals.add_argument("--rates", type=_rates, metavar="R,...", help="open loops, at so many questions a second")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--seconds",
        type=_positive,
        default=DEFAULT_SECONDS,
        metavar="S",
        help=f"for each precision under each load (default: {DEFAULT_SECONDS:g})",
    )
    length.add_argument("--requests", type=_count, metavar="N", help="questions for each precision under each load")


def _integers(text: str) -> tuple[int, ...]:
    numbers = _numbers(text, MAX_CLIENTS)
    if any(number != int(number) for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers")
    return tuple(int(number) for number in numbers)


def _shares(text: str) -> tuple[float, ...]:
    return () if text == "none" else _numbers(text, MAX_SHARE)


def _rates(text: str) -> tuple[float, ...]:
    return _numbers(text, MAX_RATE)


def _numbers(text: str, most: float) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 < number <= most for number in numbers):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers above 0 and up to {most:,}, such as 1,2,4")
    return numbers


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _count(text: str) -> int:
    number = _positive(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(number)
