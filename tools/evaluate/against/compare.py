"""`evaluate --against`: ask the pipeline of transformers and the source the same questions, and compare the answers."""

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from tools.answers.pipeline import ONLY, PipelineSource
from tools.answers.source import AnswerSource
from tools.evaluate.against.agreement import Agreement
from tools.evaluate.asking import ask, open_journals
from tools.evaluate.questions import QuestionSet
from tools.evaluate.report import write
from tools.fingerprint import summary_line, take_fingerprint
from tools.squad.question_tally import counted

SHOWN = 10  # changed answers on the screen


def compare(given: argparse.Namespace, arguments: Sequence[str], questions: QuestionSet, source: AnswerSource) -> None:
    """Ask both, write the files, and print the summary and the answers that differ most.

    Raises: ToolError.
    """
    console = Console(highlight=False)
    pipeline = PipelineSource(given.against, given.max_question_len, allow_pickle=given.allow_pickle)
    with ExitStack() as stack:
        theirs = stack.enter_context(open_journals(given.journal, pipeline, questions))
        ours = stack.enter_context(open_journals(given.journal, source, questions))
        console.print(f"asking the pipeline of transformers with {given.against}", soft_wrap=True)
        reference = ask(pipeline, theirs, questions, console)[ONLY]
        console.print(f"asking {source.info()['model']['name']}", soft_wrap=True)
        agreement = Agreement(questions.examples, reference, ask(source, ours, questions, console))
        fingerprint = take_fingerprint(source.info(), "tools.evaluate", arguments)
        changed = agreement.changed()
        report = {
            "fingerprint": fingerprint,
            "data": {"name": questions.name, "sha256": questions.digest},
            "rules": asdict(questions.rules),
            "against": pipeline.info(),
            **agreement.as_json(),
        }
        write(given.output, json.dumps(report, indent=1, ensure_ascii=False))
        write(given.changed, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in changed))
        for journal in [*theirs.values(), *ours.values()]:
            journal.remove()
    name = f"{source.info()['model']['name']}, {questions.name}"
    console.print(_table(f"{name}: {counted(len(questions.examples), 'question')}", agreement))
    _print_changed(console, changed)
    for note in source.question_limit.notes():
        console.print(note, soft_wrap=True)
    console.print(summary_line(fingerprint), soft_wrap=True)


def _table(title: str, agreement: Agreement) -> Table:
    table = Table(title=f"{title}, compared with the pipeline", title_justify="left", pad_edge=False)
    table.add_column("")
    for column in ("same answer", "same words", "mean overlap", "changed"):
        table.add_column(column, justify="right")
    for precision in agreement.replies:
        found = agreement.summary(precision)
        percent = [f"{100 * found[name] / found['questions']:.1f} %" for name in ("same_answer", "same_words")]
        table.add_row(precision, *percent, f"{found['mean_overlap']:.1f} %", str(found["answers_changed"]))
    return table


def _print_changed(console: Console, changed: Sequence[Mapping[str, Any]]) -> None:
    def line(name: str, answer: str, score: float) -> None:
        console.print(f"  {name:<9}{answer!r} (score {score:.3f})", soft_wrap=True, markup=False)

    for one in changed[:SHOWN]:
        console.print(f"{one['id']}: {one['question']}", soft_wrap=True, markup=False)
        line("pipeline", one["pipeline"], one["pipeline_score"])
        for precision, answer in one["answers"].items():
            line(precision, answer, one["scores"][precision])
    if len(changed) > SHOWN:
        console.print(f"and {len(changed) - SHOWN} more changed answers; --changed FILE writes all of them to a file")
