"""Command-line arguments that several commands take."""

import argparse
import math
from pathlib import Path

from container.precision import PRECISIONS, Precision
from tools.errors import ToolError


def command_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser that shows the description as it is written, with its line breaks."""
    return argparse.ArgumentParser(prog=command, description=description, formatter_class=argparse.RawTextHelpFormatter)


def add_source(
    parser: argparse.ArgumentParser, *, model_dir_help: str | None = None, default_url: str | None = None
) -> None:
    """Add --url and --endpoint, which exclude each other, and the endpoint's --region.

    Args:
        parser: the command's parser.
        model_dir_help: what --model-dir, a third alternative, is for; None: there is no --model-dir.
        default_url: the server to ask if no source is given; None: a source must be given.
    """
    group = parser.add_mutually_exclusive_group(required=default_url is None)
    if model_dir_help:
        group.add_argument("--model-dir", type=Path, metavar="DIR", help=model_dir_help)
    default = f"default: {default_url}" if default_url else "such as http://127.0.0.1:8080"
    group.add_argument("--url", default=default_url, help=f"the address of a running server ({default})")
    group.add_argument(
        "--endpoint", metavar="NAME", help="the name of a SageMaker endpoint; needs boto3 and AWS credentials"
    )
    parser.add_argument("--region", help="the AWS region of the endpoint (default: the one in AWS's own settings)")


def add_precisions(parser: argparse.ArgumentParser, default: str, meaning: str | None = None) -> None:
    """Add --precisions, for parse_precisions. meaning: what the default stands for, if that is not obvious."""
    parser.add_argument(
        "--precisions", default=default, metavar="P,...", help=f"such as int8,fp32 (default: {meaning or default})"
    )


def add_allow_pickle(parser: argparse.ArgumentParser) -> None:
    """Add --allow-pickle, for commands that load the weights of a checkpoint."""
    parser.add_argument(
        "--allow-pickle",
        action="store_true",
        help="also load weights from pytorch_model.bin if the checkpoint has no safetensors. Such a file is a pickle:\n"
        "whoever made it can run code on this machine, with your rights, while it is loaded. torch 2.8 tries to\n"
        "prevent that, but a flaw (CVE-2026-24747) lets a file get around it. Use it only if you trust the author",
    )


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add --limit."""
    parser.add_argument("--limit", type=whole_number, metavar="N", help="ask only the first N questions of the file")


def parse_precisions(text: str) -> tuple[Precision, ...] | None:
    """Return the precisions that `int8,fp32` names, fastest first; None for `auto`.

    Raises: ToolError if a name is unknown.
    """
    if text == "auto":
        return None
    names = [name.strip().upper() for name in text.split(",")]
    if not set(names) <= set(PRECISIONS):
        raise ToolError(f"--precisions {text}: must be auto, or some of int8,bf16,fp32 separated by commas")
    return tuple(precision for precision in PRECISIONS if precision in names)


def positive_number(text: str) -> float:
    """Read a finite number above 0; an argparse type."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def whole_number(text: str) -> int:
    """Read a whole number above 0; an argparse type."""
    number = positive_number(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(number)
