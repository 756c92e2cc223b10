"""Exact match and F1 of each precision by SQuAD's official rules, for an artifact, a server or an endpoint.

    python -m tools.evaluate --model-dir build/demo --data models/demo/held_out.json
    python -m tools.evaluate --url http://127.0.0.1:8080 --data models/demo/held_out.json
    python -m tools.evaluate --endpoint bert-qa --data models/demo/held_out.json

If the file has questions without an answer, it is scored by SQuAD v2.0's rules, else by v1.1's.
The brackets are the 95 % interval of the difference from FP32 (paired bootstrap).
After an interruption, the same command continues where it stopped.
"""

import argparse
import sys

from rich.console import Console

from tools.answers.artifact import ArtifactSource
from tools.answers.endpoint import EndpointSource
from tools.answers.server import ServerSource
from tools.answers.source import AnswerSource
from tools.arguments import parse_precisions
from tools.errors import run
from tools.evaluate.arguments import parse_arguments
from tools.evaluate.asking import ask, open_journals
from tools.evaluate.evaluation import Evaluation
from tools.evaluate.questions import read_questions
from tools.evaluate.report import write_changed, write_report
from tools.evaluate.tables import tables
from tools.fingerprint import summary_line, take_fingerprint
from tools.remote.client import EndpointClient


def main() -> None:
    """Ask the questions, write the report, and print the tables."""
    given = parse_arguments(sys.argv[1:], __doc__)
    questions = read_questions(given.data, given.limit)
    console = Console(highlight=False)
    source = _open_source(given)
    with open_journals(given.journal, source, questions) as journals:
        answers = ask(source, journals, questions, console)
        evaluation = Evaluation(questions.examples, answers, questions.is_v2)
        fingerprint = take_fingerprint(source.info(), __package__, sys.argv[1:])
        write_report(given.output, questions, evaluation, fingerprint)
        write_changed(given.changed, evaluation)
        for journal in journals.values():
            journal.remove()
    title = f"{questions.name}: {len(questions.examples)} questions, {questions.metric}"
    for table in tables(title, evaluation):
        console.print(table)
    console.print(summary_line(fingerprint), soft_wrap=True)


def _open_source(given: argparse.Namespace) -> AnswerSource:
    wanted = parse_precisions(given.precisions)
    if given.url:
        return ServerSource(given.url, wanted)
    if given.endpoint:
        return EndpointSource(EndpointClient(given.endpoint, given.region), wanted)
    return ArtifactSource(given.model_dir, wanted)


if __name__ == "__main__":
    run(main)
