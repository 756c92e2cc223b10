"""The command line of train_demo."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.arguments import command_parser
from tools.train_demo.settings import TrainingSettings


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    default = TrainingSettings()
    parser = command_parser("train_demo", description)
    add = parser.add_argument
    add("--encoder", required=True, help="the checkpoint to start from: a directory, or an id on the hub")
    add("--train", required=True, type=Path, nargs="+", metavar="FILE", help="training questions in SQuAD's format")
    add("--evaluation", required=True, type=Path, metavar="FILE", help="held-out questions in SQuAD's format")
    add("--output", required=True, type=Path, metavar="DIR", help="the directory for the checkpoint")
    add("--epochs", type=int, default=default.epochs, help="how often the questions are asked (default: %(default)s)")
    add(
        "--cloze-per-context",
        type=int,
        default=default.cloze_per_context,
        metavar="N",
        help="how many questions are made of each context's own sentences (default: %(default)s)",
    )
    add("--peak-rate", type=float, default=default.peak_rate, help="the highest learning rate (default: %(default)s)")
    add("--seed", type=int, default=default.seed, help="the seed of everything random (default: %(default)s)")
    return parser.parse_args(arguments)
