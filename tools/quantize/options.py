"""The command line of quantize, checked before anything heavy is loaded."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from container.precision import PRECISIONS, Precision
from model_loader import manifest
from tools.answers.source import MAX_QUESTION_LEN
from tools.arguments import parse_precisions
from tools.errors import ToolError
from tools.quantize.recipes import DEFAULT_ALPHA, DEFAULT_RECIPE, RecipeName

MIN_CALIBRATION_WINDOWS = 20  # fewer do not show the activations' range
DEFAULT_PRECISIONS = "int8,fp32"


@dataclass(frozen=True)
class Options:
    """The command line."""

    model: str
    calibration: str
    evaluation: str | None
    output: Path
    precisions: tuple[Precision, ...]
    fp32_engine: Literal["ipex", "torch"]
    recipe: RecipeName
    alpha: float
    max_f1_drop: float
    steps: int
    max_seq_len: int
    doc_stride: int


def parse_arguments(description: str | None) -> Options:
    """Exits on what argparse refuses.

    Raises: ToolError.
    """
    parser = argparse.ArgumentParser(
        prog="quantize", description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--model", required=True, help="checkpoint: a directory, or an id on the Hugging Face hub")
    add("--calibration", required=True, help="file in SQuAD's format, or `squad` (hub); never what you test on")
    add("--evaluation", help="held-out file in SQuAD's format: measure exact match and F1 into the manifest")
    add("--output", required=True, type=Path, help="directory to write; an artifact there is replaced")
    add("--precisions", default=DEFAULT_PRECISIONS, help=f"of int8,bf16,fp32 (default: {DEFAULT_PRECISIONS})")
    add(
        "--fp32-engine",
        choices=("ipex", "torch"),
        default="ipex",
        help="ipex: fastest (default); torch: no IPEX needed",
    )
    add(
        "--recipe",
        choices=get_args(RecipeName),
        default=DEFAULT_RECIPE,
        help="of INT8. static: plain; smoothquant: outlying channels smoothed, keys and values centred; auto: tries\n"
        f"both at several strengths, and layers in FP32, on held-back examples (default: {DEFAULT_RECIPE})",
    )
    add("--alpha", type=float, default=DEFAULT_ALPHA, help=f"SmoothQuant's strength, 0 to 1 (default: {DEFAULT_ALPHA})")
    add("--max-f1-drop", type=float, default=0.5, help="points of F1 that auto may lose to FP32 (default: 0.5)")
    add("--steps", type=int, default=100, help="calibration windows (default: 100)")
    add("--max-seq-len", type=int, default=384, help="tokens of a window (default: 384)")
    add("--doc-stride", type=int, default=128, help="overlap of two windows, tokens (default: 128)")
    given = vars(parser.parse_args())
    if given["steps"] < MIN_CALIBRATION_WINDOWS:
        parser.error(f"--steps must be at least {MIN_CALIBRATION_WINDOWS}")
    if not 0 <= given["alpha"] <= 1:
        parser.error("--alpha must lie between 0 and 1")
    if given["max_f1_drop"] < 0:
        parser.error("--max-f1-drop must not be negative")
    if not 0 <= given["doc_stride"] < given["max_seq_len"] - MAX_QUESTION_LEN - 3:
        parser.error(f"--doc-stride must leave room for a question of {MAX_QUESTION_LEN} tokens in --max-seq-len")
    precisions = parse_precisions(given.pop("precisions"))
    _check_output(given["output"])
    return Options(precisions=precisions or PRECISIONS, **given)


def _check_output(output: Path) -> None:
    """See that the output can be written, and replaces nothing but an artifact.

    Raises: ToolError.
    """
    if output.exists() and not output.is_dir():
        raise ToolError(f"--output {output} is a file; name a directory")
    if output.is_dir() and any(output.iterdir()) and not (output / manifest.FILE_NAME).is_file():
        raise ToolError(f"--output {output} holds other things than an artifact; name another directory")
    existing = next(parent for parent in output.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise ToolError(f"--output {output} cannot be written: {error.strerror}") from None
