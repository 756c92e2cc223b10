"""The command line of train_demo."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.arguments import add_allow_pickle, command_parser, positive_number, whole_number
from tools.errors import ToolError
from tools.train_demo.settings import Phase, TrainingSettings

SAVE_EVERY = 100  # steps


@dataclass(frozen=True)
class Options:
    """The command line. save_every: after how many steps the state is saved, so that a later run can continue."""

    encoder: str
    evaluation: Path
    output: Path
    save_every: int
    settings: TrainingSettings


def parse_arguments(arguments: Sequence[str], description: str | None) -> Options:
    """Read the command line. The process ends with a message if it makes no sense.

    Raises: ToolError.
    """
    given = _parser(description).parse_args(arguments)
    if given.average_last > 1 and not given.evaluate_every:
        raise ToolError("--average-last averages the weights that --evaluate-every has measured: give both")
    settings = TrainingSettings(
        phases=tuple(Phase.parse(text) for text in given.phase),
        tokens_per_step=given.tokens_per_step,
        peak_rate=given.peak_rate,
        warmup_steps=given.warmup_steps,
        seed=given.seed,
        evaluate_every=given.evaluate_every,
        average_last=given.average_last,
        allow_pickle=given.allow_pickle,
    )
    return Options(given.encoder, given.evaluation, given.output, given.save_every, settings)


def _parser(description: str | None) -> argparse.ArgumentParser:
    default = TrainingSettings(phases=())
    parser = command_parser("train_demo", description)
    add = parser.add_argument
    add("--encoder", required=True, help="the checkpoint to start from: a directory, or an id on the hub")
    add_allow_pickle(parser)
    add(
        "--phase",
        required=True,
        action="append",
        metavar="FILE[:TIMES],...",
        help="files in SQuAD's format whose questions are asked in random order, each question TIMES times\n"
        "(default: once). Give --phase several times for several phases, one after the other",
    )
    add("--evaluation", required=True, type=Path, metavar="FILE", help="held-out questions in SQuAD's format")
    add("--output", required=True, type=Path, metavar="DIR", help="the directory for the checkpoint")
    add(
        "--evaluate-every",
        type=whole_number,
        metavar="N",
        help="measure the model on the evaluation file after every N steps and at the end, and keep\n"
        "the weights with the highest F1 (default: keep the last weights)",
    )
    add(
        "--average-last",
        type=whole_number,
        default=default.average_last,
        metavar="N",
        help="also measure the mean of the last N measured weights, and keep it if its F1 is higher",
    )
    add(
        "--peak-rate",
        type=positive_number,
        default=default.peak_rate,
        metavar="RATE",
        help="the highest learning\nrate; it decays linearly to 0 over all phases (default: %(default)s)",
    )
    add(
        "--warmup-steps",
        type=whole_number,
        default=default.warmup_steps,
        metavar="N",
        help="how many steps the learning\nrate rises, but never more than a tenth of all steps (default: %(default)s)",
    )
    add(
        "--tokens-per-step",
        type=whole_number,
        default=default.tokens_per_step,
        metavar="N",
        help="the largest batch,\npadding included (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=default.seed,
        metavar="N",
        help="the seed of everything random (default: %(default)s)",
    )
    add(
        "--save-every",
        type=whole_number,
        default=SAVE_EVERY,
        metavar="N",
        help="save the state after every N steps, so\n"
        "that the same command can continue after an interruption (default: %(default)s)",
    )
    return parser
