"""Ask the questions of an evaluation, and keep every answer in a journal."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from container.precision import PRECISIONS, Precision
from tools.answers.source import AnswerSource, Reply
from tools.evaluate.journal import Journal
from tools.evaluate.questions import QuestionSet
from tools.progress import show_progress


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
    # Two sources of unknown identity, such as an endpoint and the pipeline beside it, need a file each.
    named = type(source).__name__ if model is None else model
    key = {"data": questions.digest, "model": named, "precision": precision, "rules": asdict(questions.rules)}
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
        for precision, journal in journals.items():
            _ask_remaining(source, precision, journal, questions)
    except KeyboardInterrupt:
        console.print("interrupted; run the same command again to continue from here")
        raise
    return {precision: journal.replies[:total] for precision, journal in journals.items()}


def _ask_remaining(source: AnswerSource, precision: Precision, journal: Journal, questions: QuestionSet) -> None:
    remaining = questions.examples[len(journal.replies) :]
    if not remaining:
        return  # without a question to ask, the source does not even load its model
    total = len(questions.examples)
    with show_progress(f"{precision}: asking", total, total - len(remaining)) as advance:
        for example, reply in zip(remaining, source.answers(precision, remaining, questions.rules), strict=True):
            journal.add(example.id, reply)
            advance(1, "")
