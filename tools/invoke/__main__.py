"""Ask a server or a SageMaker endpoint one question, or a file of questions.

python -m tools.invoke --question "Who built it?" --context "Zoë Müller built it." --precision FP32
python -m tools.invoke --data models/demo/held_out.json --limit 5 --endpoint bert-qa
python -m tools.invoke --data models/demo/held_out.json --limit 5 --endpoint bert-qa --async
python -m tools.invoke --data questions.csv --output answers.jsonl

If some questions of a file are refused, the others are asked, and the exit code is 3.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tools.answers.source import Ask
from tools.errors import RequestRefused, ToolError, run
from tools.invoke.answer_file import AnswerFile
from tools.invoke.answer_text import show
from tools.invoke.arguments import parse_arguments
from tools.invoke.progress import with_progress
from tools.remote.async_client import AsyncEndpointClient
from tools.remote.client import EndpointClient, ServerClient
from tools.squad.examples import Example
from tools.squad.question_file import read_questions

# Refusals of one question; the others, such as 429 and 503, concern the server and end the run.
OF_ONE_QUESTION = {400, 413, 422, 500, 504}
EXIT_SOME_REFUSED = 3


def main() -> None:
    """Ask each question, and print its answer. Of a file, a question that is refused does not end the run."""
    given = parse_arguments(sys.argv[1:], __doc__)
    ask = _client(given)
    questions = _questions(given)
    refused: dict[str, int] = {}
    with AnswerFile(given.output) if given.output else contextlib.nullcontext() as output:
        if output:
            questions = [example for example in questions if example.id not in output.done]
            if output.done:
                print(f"{given.output} has {len(output.done)} answers already", file=sys.stderr)
        for example in with_progress(questions) if output else questions:
            try:
                _ask(given, ask, example, output)
            except RequestRefused as refusal:
                if not given.data or refusal.status not in OF_ONE_QUESTION:
                    raise
                refused[refusal.reason] = refused.get(refusal.reason, 0) + 1
                _show_refusal(given, example, refusal, output)
    if refused:
        _end(refused, len(questions))


def _client(given: argparse.Namespace) -> Ask:
    if given.async_folder is not None:
        return AsyncEndpointClient(given.endpoint, given.async_folder, given.region)
    if given.endpoint:
        return EndpointClient(given.endpoint, given.region, given.variant).for_model(given.target_model)
    return ServerClient(given.url, _api_key(given.api_key_file) if given.api_key_file else "")


def _api_key(file: Path) -> str:
    try:
        keys = file.read_text("ascii").split()
    except (OSError, ValueError) as error:
        raise ToolError(f"{file}: cannot read an API key ({error}); its first line must be the key") from None
    if not keys:
        raise ToolError(f"{file}: holds no API key; its first line must be the key")
    return keys[0]


def _ask(given: argparse.Namespace, ask: Ask, example: Example, output: AnswerFile | None) -> None:
    """Ask one question, and print its answer or write it to the file.

    Raises: ToolError.
    """
    parameters = {"task": "question-answering", "top_k": given.top_k}  # the server may have another default task
    body = {"question": example.question, "context": example.context, "parameters": parameters}
    if given.precision:
        body["precision"] = given.precision
    begin = time.perf_counter()
    response = _parse_response(ask(json.dumps(body).encode()))
    milliseconds = (time.perf_counter() - begin) * 1000
    if output:
        output.write({"id": example.id, **response})
    elif given.json:
        _write_line(response)
    else:
        show(Console(highlight=False, soft_wrap=True), example.context, response, milliseconds)


def _show_refusal(
    given: argparse.Namespace, example: Example, refusal: RequestRefused, output: AnswerFile | None
) -> None:
    """Say why one question was refused: in the file, or with --json as a line of JSON in the place of its answer."""
    record = {"id": example.id, "error": refusal.reason, "status": refusal.status}
    if output:
        output.write({**record, "question": example.question})
    elif given.json:
        _write_line(record)
    else:
        print(f"{example.question}\n  question {example.id} was refused: {refusal}\n")


def _end(refused: dict[str, int], asked: int) -> None:
    """Say how many questions were refused and why, and end with an exit code that says so.

    Raises: ToolError if none was answered.
    """
    number = sum(refused.values())
    reasons = "; ".join(f"{count} x {reason}" for reason, count in sorted(refused.items(), key=lambda one: -one[1]))
    line = f"{number} of {asked} question(s) were refused: {reasons}"
    if number == asked:
        raise ToolError(line)
    print(line, file=sys.stderr)
    sys.exit(EXIT_SOME_REFUSED)


def _write_line(content: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(content, ensure_ascii=False).encode(errors="replace") + b"\n")
    sys.stdout.buffer.flush()


def _questions(given: argparse.Namespace) -> Sequence[Example]:
    """Return the questions with their contexts.

    Raises: ToolError.
    """
    if given.data:
        return read_questions(given.data)[: given.limit]
    question = _decode(os.fsencode(given.question), "--question")
    return [Example("of the command line", question, _context(given), ())]


def _context(given: argparse.Namespace) -> str:
    if given.context_file:
        try:
            return _decode(given.context_file.read_bytes(), str(given.context_file))
        except OSError as error:
            raise ToolError(f"cannot read {given.context_file}: {error.strerror}") from None
    if given.context == "-":
        return _decode(sys.stdin.buffer.read(), "the standard input")
    return _decode(os.fsencode(given.context), "--context")


def _decode(content: bytes, source: str) -> str:
    """Decode a text exactly: offsets count its characters as they are, so line ends are not changed.

    Raises: ToolError.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolError(
            f"{source} is not UTF-8: the byte at {error.start} cannot be read. Convert it to UTF-8"
        ) from None


def _parse_response(content: bytes) -> dict[str, Any]:
    try:
        response: dict[str, Any] = json.loads(content)
        _ = response["question"] + response["precision"]
        for one in response.get("answers", [response]):
            _ = one["answer"] + "", f"{one['score']:.2f}", range(one["start"], one["end"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ToolError("the response is not an answer of this project's server") from None
    return response


if __name__ == "__main__":
    run(main)
