"""Command-line arguments that several benchmarks take."""

from argparse import ArgumentParser, RawTextHelpFormatter
from pathlib import Path

from container.precision import PRECISIONS

BERT_BASE, DEMO = Path("build/bert-base"), Path("build/demo")
HELD_OUT = "models/demo/held_out.json"


def benchmark_parser(description: str | None, *, model_dir: Path) -> ArgumentParser:
    """Return a parser that shows the description as it is and takes --model-dir, with this default."""
    parser = ArgumentParser(description=description, formatter_class=RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=model_dir, help=f"artifact to serve (default: {model_dir})")
    return parser


def add_precision(parser: ArgumentParser) -> None:
    """Add --precision."""
    parser.add_argument("--precision", choices=PRECISIONS, default="INT8", help="precision to measure (default: INT8)")


def add_questions(parser: ArgumentParser, *, default: int = 400) -> None:
    """Add --data and --questions."""
    parser.add_argument("--data", default=HELD_OUT, help=f"questions in SQuAD's format (default: {HELD_OUT})")
    parser.add_argument(
        "--questions", type=int, default=default, help=f"number of questions, spread over the file (default: {default})"
    )


def add_rounds(parser: ArgumentParser, *, default: int) -> None:
    """Add --rounds."""
    parser.add_argument("--rounds", type=int, default=default, help=f"number of rounds (default: {default})")


def add_seconds(parser: ArgumentParser, *, default: float) -> None:
    """Add --seconds."""
    parser.add_argument(
        "--seconds", type=float, default=default, help=f"length of each measurement (default: {default:g})"
    )
