"""The command line of quantize. It is checked before PyTorch is imported."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from container.precision import PRECISIONS, Precision
from tools.arguments import add_allow_pickle, add_precisions, command_parser, parse_precisions
from tools.quantize.calibration import MIN_CALIBRATION_WINDOWS
from tools.quantize.output_directory import check_output
from tools.quantize.recipes import DEFAULT_ALPHA, DEFAULT_RECIPE, RecipeName
from tools.squad.rules import MAX_QUESTION_LEN, SPECIAL_TOKENS

DEFAULT_PRECISIONS = "int8,fp32"


@dataclass(frozen=True)
class Options:
    """The options of one run. max_seq_len and doc_stride are in tokens, steps in calibration windows."""

    model: str
    allow_pickle: bool
    calibration: str
    evaluation: str | None
    output: Path
    precisions: tuple[Precision, ...]
    engine: Literal["ipex", "openvino"]
    fp32_engine: Literal["ipex", "torch"] | None
    recipe: RecipeName
    alpha: float
    max_f1_drop: float
    steps: int
    max_seq_len: int
    doc_stride: int


def parse_arguments(description: str | None) -> Options:
    """Read the command line. The process ends with a message if argparse refuses it.

    Raises: ToolError if an unknown precision is named, or the output cannot be written.
    """
    parser = _parser(description)
    given = vars(parser.parse_args())
    if given["steps"] < MIN_CALIBRATION_WINDOWS:
        parser.error(f"--steps must be at least {MIN_CALIBRATION_WINDOWS}")
    if not 0 <= given["alpha"] <= 1:
        parser.error("--alpha must lie between 0 and 1")
    if given["max_f1_drop"] < 0:
        parser.error("--max-f1-drop must not be negative")
    if not 0 <= given["doc_stride"] < given["max_seq_len"] - MAX_QUESTION_LEN - SPECIAL_TOKENS:
        parser.error(f"--doc-stride must leave room for a question of {MAX_QUESTION_LEN} tokens in --max-seq-len")
    if given["fp32_engine"] and given["engine"] == "openvino":
        parser.error("--fp32-engine belongs to --engine ipex: OpenVINO runs FP32 itself")
    precisions = parse_precisions(given.pop("precisions"))
    check_output(given["output"])
    return Options(precisions=precisions or PRECISIONS, **given)


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = command_parser("quantize", description)
    add = parser.add_argument
    add("--model", required=True, help="the checkpoint: a directory, or an id on the Hugging Face hub")
    add_allow_pickle(parser)
    add(
        "--calibration",
        required=True,
        metavar="FILE",
        help="questions to calibrate on, in SQuAD's format, or a part of SQuAD, such as squad_v2:train.\n"
        "Never use your test data",
    )
    add(
        "--evaluation",
        metavar="FILE",
        help="held-out questions, or a part of SQuAD, such as squad_v2:validation; their scores go into the manifest",
    )
    add(
        "--output",
        required=True,
        type=Path,
        metavar="DIR",
        help="the directory to write; an artifact in it is replaced",
    )
    add_precisions(parser, DEFAULT_PRECISIONS)
    add(
        "--engine",
        choices=("ipex", "openvino"),
        default="ipex",
        help="ipex: TorchScript for Intel Extension for PyTorch (default); openvino: files for OpenVINO, which are\n"
        "served without PyTorch",
    )
    add(
        "--fp32-engine",
        choices=("ipex", "torch"),
        help="with --engine ipex, what runs FP32. ipex: the fastest (default); torch: a file that runs without IPEX",
    )
    add(
        "--recipe",
        choices=get_args(RecipeName),
        default=DEFAULT_RECIPE,
        help="how INT8 is made. static: plain static quantization; smoothquant: outlying channels are smoothed, keys\n"
        "and values are centred; auto: tries both with several strengths, then keeps layers in FP32, and compares the\n"
        "recipes on a part of the calibration examples that is held back\n"
        f"(default: {DEFAULT_RECIPE})",
    )
    add("--alpha", type=float, default=DEFAULT_ALPHA, help=f"SmoothQuant's strength, 0 to 1 (default: {DEFAULT_ALPHA})")
    add("--max-f1-drop", type=float, default=0.5, help="with auto: how many points of F1 INT8 may lose (default: 0.5)")
    add("--steps", type=int, default=100, help="number of calibration windows (default: 100)")
    add("--max-seq-len", type=int, default=384, help="length of a window, in tokens (default: 384)")
    add("--doc-stride", type=int, default=128, help="overlap of neighbouring windows, in tokens (default: 128)")
    return parser
