"""Ask a server or a SageMaker endpoint one question, or a file of questions.

python -m tools.invoke --question "Who built it?" --context "Zoë Müller built it." --precision FP32
python -m tools.invoke --data models/demo/held_out.json --limit 5 --endpoint bert-qa
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from tools.answers.source import Ask
from tools.errors import ToolError, run
from tools.invoke.answer_text import show
from tools.invoke.arguments import parse_arguments
from tools.remote.client import EndpointClient, ServerClient
from tools.squad.examples import read_examples


def main() -> None:
    """Ask each question, and print its answer."""
    given = parse_arguments(sys.argv[1:], __doc__)
    ask: Ask = (
        EndpointClient(given.endpoint, given.region, given.variant) if given.endpoint else ServerClient(given.url)
    )
    console = Console(highlight=False, soft_wrap=True)
    for question, context in _questions(given):
        body = {"question": question, "context": context, "parameters": {"top_k": given.top_k}}
        if given.precision:
            body["version"] = given.precision
        begin = time.perf_counter()
        response = _parse_response(ask(json.dumps(body).encode()))
        milliseconds = (time.perf_counter() - begin) * 1000
        if given.json:
            print(json.dumps(response, ensure_ascii=False), flush=True)
        else:
            show(console, context, response, milliseconds)


def _questions(given: argparse.Namespace) -> Iterable[tuple[str, str]]:
    """Return the questions with their contexts.

    Raises: ToolError.
    """
    if given.data:
        return [(one.question, one.context) for one in read_examples(given.data)][: given.limit]
    context = sys.stdin.read() if given.context == "-" else given.context
    if given.context_file:
        try:
            context = given.context_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(f"cannot read {given.context_file}: {error}") from None
    return [(given.question, context)]


def _parse_response(content: bytes) -> dict[str, Any]:
    try:
        response: dict[str, Any] = json.loads(content)
        _ = response["answer"], response["start"], response["end"], response["score"], response["version"]
    except (ValueError, KeyError, TypeError):
        raise ToolError("the response is not an answer of this project's server") from None
    return response


if __name__ == "__main__":
    run(main)
