"""Ask the questions of an evaluation, and keep every answer in a journal."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from container.precision import PRECISIONS, Precision
from tools.answers.source import AnswerSource, Reply
from tools.evaluate.journal import Journal
from tools.evaluate.questions import QuestionSet


@contextmanager
def open_journals(
    directory: Path, source: AnswerSource, questions: QuestionSet
) -> Iterator[Mapping[Precision, Journal]]:
    """Open a journal for each precision of the source, FP32's first, and close them at the end.

    Raises: ToolError.
    """
    with ExitStack() as stack:
        yield {
            precision: stack.enter_context(closing(_journal(directory, source, precision, questions)))
            for precision in sorted(source.precisions, key=PRECISIONS.index, reverse=True)
        }


def _journal(directory: Path, source: AnswerSource, precision: Precision, questions: QuestionSet) -> Journal:
    model = source.identity(precision)
    key = {"data": questions.digest, "model": model, "precision": precision, "rules": asdict(questions.rules)}
    return Journal(directory, {**key, "max_question_len": source.question_limit.tokens}, resumes=model is not None)


def ask(
    source: AnswerSource, journals: Mapping[Precision, Journal], questions: QuestionSet, console: Console
) -> Mapping[Precision, list[Reply]]:
    """Ask the questions that the journals do not answer yet, and return all replies of each precision.

    Raises: ToolError.
    """
    total = len(questions.examples)
    for precision, journal in journals.items():
        if journal.replies:
            done = min(len(journal.replies), total)
            console.print(f"{precision}: continues after {done} of {total} questions, which an earlier run has asked")
    try:
        with Progress(
            *Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True
        ) as progress:
            _ask_remaining(source, journals, questions, progress)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to continue from here")
        raise
    return {precision: journal.replies[:total] for precision, journal in journals.items()}


def _ask_remaining(
    source: AnswerSource, journals: Mapping[Precision, Journal], questions: QuestionSet, progress: Progress
) -> None:
    task = progress.add_task("", total=len(questions.examples) * len(journals))
    for precision, journal in journals.items():
        remaining = questions.examples[len(journal.replies) :]
        progress.update(task, description=precision, advance=len(questions.examples) - len(remaining))
        if not remaining:
            continue  # without a question to ask, the source does not even load its model
        replies = source.answers(precision, remaining, questions.rules)
        for example, reply in zip(remaining, replies, strict=True):
            journal.add(example.id, reply)
            progress.advance(task)
