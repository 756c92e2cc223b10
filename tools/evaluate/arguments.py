"""The command line of evaluate."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.arguments import add_limit, add_precisions, add_source, command_parser

DEFAULT_JOURNAL = Path("build/evaluate")


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    parser = command_parser("evaluate", description)
    add_source(parser, model_dir_help="an artifact, which answers in this process")
    add = parser.add_argument
    add("--data", required=True, metavar="FILE", help="questions in SQuAD's format, v1.1 or v2.0")
    add_precisions(parser, "auto", "all that the model has")
    add_limit(parser)
    add("--output", type=Path, metavar="FILE", help="write scores, intervals and all answers to this file (JSON)")
    add("--changed", type=Path, metavar="FILE", help="write the questions whose answer changed here (JSON Lines)")
    add(
        "--journal",
        type=Path,
        default=DEFAULT_JOURNAL,
        metavar="DIR",
        help=f"where answers are kept until the run is complete (default: {DEFAULT_JOURNAL})",
    )
    return parser.parse_args(arguments)
