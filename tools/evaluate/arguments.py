"""The command line of evaluate."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.arguments import add_limit, add_precisions, add_source, command_parser, whole_number
from tools.squad.named_sets import NAMES
from tools.squad.rules import MAX_QUESTION_LEN

DEFAULT_JOURNAL = Path("build/evaluate")
LONGEST_QUESTION = 512  # tokens; the server accepts no larger max_question_len


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    parser = command_parser("evaluate", description)
    add_source(parser, model_dir_help="an artifact, which answers in this process")
    add = parser.add_argument
    add("--data", required=True, metavar="FILE", help=f"questions in SQuAD's format, or one of {NAMES}")
    add_precisions(parser, "auto", "all that the model has")
    add_limit(parser)
    add(
        "--max-question-len",
        type=whole_number,
        default=MAX_QUESTION_LEN,
        metavar="N",
        help=f"cut questions after N tokens, at most {LONGEST_QUESTION} (default: {MAX_QUESTION_LEN})",
    )
    add(
        "--save-no-answer-threshold",
        action="store_true",
        help="store the threshold with the best F1, by v2.0's rules, in the manifest of --model-dir",
    )
    add(
        "--calibrate",
        action="store_true",
        help="fit the calibration of scores on these questions, and store it in the manifest of --model-dir",
    )
    add("--plot", type=Path, metavar="FILE", help="write a plot of scores against right answers to this file (PNG)")
    add("--output", type=Path, metavar="FILE", help="write scores, intervals and all answers to this file (JSON)")
    add("--changed", type=Path, metavar="FILE", help="write the questions whose answer changed here (JSON Lines)")
    add(
        "--journal",
        type=Path,
        default=DEFAULT_JOURNAL,
        metavar="DIR",
        help=f"where answers are kept until the run is complete (default: {DEFAULT_JOURNAL})",
    )
    given = parser.parse_args(arguments)
    if given.max_question_len > LONGEST_QUESTION:
        parser.error(f"--max-question-len must be at most {LONGEST_QUESTION}")
    for option, is_given in (
        ("--save-no-answer-threshold", given.save_no_answer_threshold),
        ("--calibrate", given.calibrate),
    ):
        if is_given and not given.model_dir:
            parser.error(f"{option} needs --model-dir, in whose manifest it stores what it finds")
    return given
