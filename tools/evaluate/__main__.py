"""Exact match and F1 of each precision, by SQuAD's official rules, of an artifact, a server or an endpoint.

    python -m tools.evaluate --model-dir build/demo --data models/demo/held_out.json
    python -m tools.evaluate --url http://127.0.0.1:8080 --data models/demo/held_out.json
    python -m tools.evaluate --endpoint bert-qa --data models/demo/held_out.json

Files of SQuAD v1.1 and v2.0. Where a file has questions without an answer, v2.0's rules hold, and no answer competes.
Brackets: the difference's 95 % interval (paired bootstrap). An interrupted run goes on where it stopped.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from container.precision import PRECISIONS, Precision
from serve.qa.spans import SpanRules
from tools.answers.artifact import ArtifactSource
from tools.answers.endpoint import EndpointSource
from tools.answers.server import ServerSource
from tools.answers.source import RULES, AnswerSource
from tools.arguments import parse_precisions
from tools.errors import ToolError, run
from tools.evaluate.journal import Journal
from tools.evaluate.report import Evaluation, changed_questions, tables
from tools.fingerprint import fingerprint, one_line
from tools.remote.client import EndpointClient
from tools.squad.examples import Example, read_examples

DEFAULT_JOURNAL = Path("build/evaluate")


@dataclass(frozen=True)
class Questions:
    """Those of a file, and what is asked of them. is_v2: the file has questions without an answer."""

    name: str
    digest: str  # of everything that bears on answers and scores
    is_v2: bool
    asked: Sequence[Example]

    @property
    def rules(self) -> SpanRules:
        """No answer competes where it may be right."""
        return replace(RULES, handle_impossible_answer=self.is_v2)


def main() -> None:
    """Get the answers, print the table, write the files."""
    given = _parse()
    questions = _read(given.data, given.limit)
    console = Console(highlight=False)
    source = _open(given)
    with ExitStack() as stack:
        journals = {
            precision: stack.enter_context(closing(_journal(given.journal, source, precision, questions)))
            for precision in sorted(source.precisions, key=PRECISIONS.index, reverse=True)  # FP32 first
        }
        try:
            _answer(source, journals, questions, console)
        except KeyboardInterrupt:
            console.print("interrupted; the same command goes on from here")
            raise
        answers = {precision: journal.answers[: len(questions.asked)] for precision, journal in journals.items()}
        evaluation = Evaluation(questions.asked, answers, questions.is_v2)
        measured_on = fingerprint(source.info(), "tools.evaluate", sys.argv[1:])
        _write(given, questions, evaluation, measured_on)
        for journal in journals.values():
            journal.remove()
    title = f"{questions.name}: {len(questions.asked)} questions, SQuAD {'v2.0' if questions.is_v2 else 'v1.1'}"
    for table in tables(title, evaluation):
        console.print(table)
    console.print(one_line(measured_on), soft_wrap=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model-dir", type=Path, help="artifact to run in this process")
    source.add_argument("--url", help="a running server, such as http://127.0.0.1:8080")
    source.add_argument("--endpoint", metavar="NAME", help="a SageMaker endpoint; needs boto3 and credentials")
    add("--region", help="of the endpoint (default: AWS's own settings)")
    add("--data", required=True, help="file in SQuAD's format, v1.1 or v2.0")
    add("--precisions", default="auto", help="such as int8,fp32 (default: all that the model has)")
    add("--limit", type=int, metavar="N", help="only the first N questions")
    add("--output", type=Path, metavar="FILE", help="write scores, intervals and all answers here (JSON)")
    add(
        "--changed", type=Path, metavar="FILE", help="write the questions that FP32 answers otherwise here (JSON Lines)"
    )
    add(
        "--journal",
        type=Path,
        default=DEFAULT_JOURNAL,
        metavar="DIR",
        help=f"where answers are kept until the run is complete (default: {DEFAULT_JOURNAL})",
    )
    given = parser.parse_args()
    if given.limit is not None and given.limit < 1:
        parser.error("--limit must be at least 1")
    return given


def _read(data: str, limit: int | None) -> Questions:
    examples = read_examples(data)
    if not examples:
        raise ToolError(f"{data} holds no questions")
    content = json.dumps([asdict(example) for example in examples])
    is_v2 = not all(example.answers for example in examples)
    return Questions(Path(data).name, sha256(content.encode()).hexdigest(), is_v2, examples[:limit])


def _open(given: argparse.Namespace) -> AnswerSource:
    wanted = parse_precisions(given.precisions)
    if given.url:
        return ServerSource(given.url, wanted)
    if given.endpoint:
        return EndpointSource(EndpointClient(given.endpoint, given.region), wanted)
    return ArtifactSource(given.model_dir, wanted)


def _journal(directory: Path, source: AnswerSource, precision: Precision, questions: Questions) -> Journal:
    model = source.identity(precision)
    key = {"data": questions.digest, "model": model, "precision": precision, "rules": asdict(questions.rules)}
    return Journal(directory, key, resumes=model is not None)


def _answer(
    source: AnswerSource, journals: Mapping[Precision, Journal], questions: Questions, console: Console
) -> None:
    """Ask what the journals do not hold yet, under one progress bar."""
    asked = questions.asked
    for precision, journal in journals.items():
        if journal.answers:
            done = min(len(journal.answers), len(asked))
            console.print(f"{precision}: goes on after {done} of {len(asked)} questions of an earlier run")
    with Progress(
        *Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as progress:
        task = progress.add_task("", total=len(asked) * len(journals))
        for precision, journal in journals.items():
            done = min(len(journal.answers), len(asked))
            progress.update(task, description=precision, advance=done)
            if done == len(asked):
                continue  # nothing to load a model for
            for example, answer in zip(
                asked[done:], source.answers(precision, asked[done:], questions.rules), strict=True
            ):
                journal.add(example.id, answer)
                progress.advance(task)


def _write(
    given: argparse.Namespace, questions: Questions, evaluation: Evaluation, measured_on: Mapping[str, Any]
) -> None:
    report = {
        "fingerprint": measured_on,
        "data": {
            "name": questions.name,
            "sha256": questions.digest,
            "metric": "SQuAD v2.0" if questions.is_v2 else "SQuAD v1.1",
        },
        "rules": asdict(questions.rules),
        **evaluation.as_json(),
    }
    lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in changed_questions(evaluation)]
    for path, content in (
        (given.output, json.dumps(report, indent=1, ensure_ascii=False)),
        (given.changed, "".join(lines)),
    ):
        if path is None:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        except OSError as error:
            raise ToolError(f"cannot write {path}: {error.strerror}. The answers are kept; start again") from None


if __name__ == "__main__":
    run(main)
