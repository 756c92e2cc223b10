"""Precision, recall and F1 of highlighted sentences, for an artifact that runs in this process.

    python -m tools.evaluate.highlights --model-dir build/demo --data models/demo/held_out.json

The artifact may hold a question-answering model or a token-relevance model.
The right sentences are those that hold a gold answer. If a question has several gold answers, the one that fits best
counts, as in SQuAD's own metric. A question without an answer should have no highlight.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from container import cpu
from container.cpu import CpuUnsupported
from model_loader.artifact import open_artifact
from model_loader.errors import ModelLoadError
from serve.errors import RequestError
from serve.qa.features import WindowLimits
from serve.qa.tokenizer_check import open_featurizer
from tools.arguments import add_limit, add_precisions, command_parser, parse_precisions
from tools.errors import ToolError, run
from tools.evaluate.highlights.measure import Measured, Rated, Sentences, read_answers
from tools.local_model import Cutter, LocalModel
from tools.progress import show_progress
from tools.squad.named_sets import NAMES
from tools.squad.question_tally import counted
from tools.squad.rules import MAX_QUESTION_LEN

THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


def main() -> None:
    """Ask the questions, and print a table for each precision."""
    parser = command_parser("evaluate.highlights", __doc__)
    parser.add_argument(
        "--model-dir", type=Path, required=True, metavar="DIR", help="an artifact, which answers in this process"
    )
    parser.add_argument("--data", required=True, metavar="FILE", help=f"questions in SQuAD's format, or one of {NAMES}")
    add_precisions(parser, "auto", "all that the model has")
    add_limit(parser)
    given = parser.parse_args(sys.argv[1:])
    asked = read_answers(given.data)[: given.limit]
    if not asked:
        raise ToolError(f"{given.data} contains no questions")
    console = Console(highlight=False)
    try:
        artifact = open_artifact(given.model_dir, parse_precisions(given.precisions), cpu.detect())
        limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, MAX_QUESTION_LEN)
        cutter = Cutter(open_featurizer(artifact), limits)
        for file in artifact.models:
            sentences = Sentences(LocalModel(file, cutter), cutter, artifact)
            rated = []
            with show_progress(f"{file.precision}: asking", len(asked)) as advance:
                for each in asked:
                    rated.append(sentences.rate(each))
                    advance(1, "")
            title = f"{artifact.name} in {file.precision}: {counted(len(rated), 'question')}"
            console.print(table(title, rated))
            console.print(summary(rated), soft_wrap=True)
    except (ModelLoadError, CpuUnsupported, RequestError) as error:
        raise ToolError(str(error)) from None
    for note in cutter.question_limit.notes():
        console.print(note, soft_wrap=True)


def table(title: str, rated: list[Rated]) -> Table:
    """Return the table of one precision, with a row for each threshold."""
    shown = Table(title=title, title_justify="left", pad_edge=False)
    for column in ("threshold", "precision", "recall", "F1", "sentences"):
        shown.add_column(column, justify="right")
    for threshold in THRESHOLDS:
        found = Measured.of(rated, threshold)
        figures = (found.precision, found.recall, found.f1)
        shown.add_row(f"{threshold:g}", *(f"{100 * figure:.1f}" for figure in figures), f"{found.sentences:.2f}")
    return shown


def summary(rated: list[Rated]) -> str:
    """Return how often the best sentence holds an answer, and the best span overlaps one, if the model finds spans."""
    answered = [each for each in rated if each.gold]
    held = sum(each.best_sentence_holds for each in answered)
    found = f"of {len(answered)} questions with an answer, the best sentence holds one for {held}"
    overlaps = [each.best_span_overlaps for each in answered if each.best_span_overlaps is not None]
    return f"{found}, and the best span overlaps one for {sum(overlaps)}" if overlaps else found


if __name__ == "__main__":
    run(main)
