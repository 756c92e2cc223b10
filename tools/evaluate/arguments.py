"""The command line of evaluate."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tools.arguments import add_allow_pickle, add_limit, add_precisions, add_source, command_parser, whole_number
from tools.squad.named_sets import NAMES
from tools.squad.rules import MAX_QUESTION_LEN

DEFAULT_JOURNAL = Path("build/evaluate")
LONGEST_QUESTION = LONGEST_ANSWER = 512  # tokens; the server accepts no larger max_question_len and max_answer_len
DEFAULT_MAX_ANSWER_LEN = 30  # tokens; that of a request (docs/api.md)


def parse_arguments(arguments: Sequence[str], description: str | None) -> argparse.Namespace:
    """Read the command line. The process ends with a message if it makes no sense."""
    parser = command_parser("evaluate", description)
    add_source(parser, model_dir_help="an artifact, which answers in this process")
    add = parser.add_argument
    add(
        "--data",
        required=True,
        metavar="FILE",
        help=f"questions in SQuAD's format, or one of {NAMES};\nwith --against also .csv or .jsonl with the "
        "fields question and context",
    )
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
    add(
        "--against",
        metavar="CHECKPOINT",
        help="instead of scoring, compare the answers with those of transformers' pipeline with this checkpoint\n"
        "in FP32, and list the answers that differ; a directory, or a name on the hub",
    )
    add(
        "--max-answer-len",
        type=whole_number,
        metavar="N",
        help=f"with --against: the longest answer in tokens, for both (default: {DEFAULT_MAX_ANSWER_LEN}, as in a "
        "request; the default of the\npipeline is 15)",
    )
    add_allow_pickle(parser)
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
        if is_given and given.against:
            parser.error(f"{option} needs scores, and --against compares answers without scoring them")
    _check_against(parser, given)
    return given


def _check_against(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Check the options of --against, and fill in their defaults."""
    if given.against and given.plot:
        parser.error("--plot needs scores, and --against compares answers without scoring them")
    if not given.against and (given.max_answer_len or given.allow_pickle):
        parser.error("--max-answer-len and --allow-pickle are for --against")
    given.max_answer_len = given.max_answer_len or DEFAULT_MAX_ANSWER_LEN
    if given.max_answer_len > LONGEST_ANSWER:
        parser.error(f"--max-answer-len must be at most {LONGEST_ANSWER}")
