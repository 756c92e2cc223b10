"""Ask a server or a SageMaker endpoint: one question, or a file of them.

python -m tools.invoke --question "Who built it?" --context "Zoë Müller built it." --precision FP32
python -m tools.invoke --data models/demo/held_out.json --limit 5 --endpoint bert-qa
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from container.precision import PRECISIONS
from tools.answers.source import Ask
from tools.errors import ToolError, run
from tools.remote.client import EndpointClient, ServerClient
from tools.squad.examples import read_examples

DEFAULT_URL = "http://127.0.0.1:8080"
EXCERPT_CHARACTERS = 120  # on each side of the answer


def main() -> None:
    """Ask, and print."""
    given = _parse()
    ask: Ask = (
        EndpointClient(given.endpoint, given.region, given.variant) if given.endpoint else ServerClient(given.url)
    )
    console = Console(highlight=False, soft_wrap=True)
    for question, context in _questions(given):
        body = {"question": question, "context": context, "parameters": {"top_k": given.top_k}}
        if given.precision:
            body["version"] = given.precision
        begin = time.perf_counter()
        answer = _parsed(ask(json.dumps(body).encode()))
        milliseconds = (time.perf_counter() - begin) * 1000
        if given.json:
            print(json.dumps(answer, ensure_ascii=False), flush=True)
        else:
            _show(console, context, answer, milliseconds)


def _questions(given: argparse.Namespace) -> Iterable[tuple[str, str]]:
    if given.data:
        return [(one.question, one.context) for one in read_examples(given.data)][: given.limit]
    context = sys.stdin.read() if given.context == "-" else given.context
    if given.context_file:
        try:
            context = given.context_file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ToolError(f"cannot read {given.context_file}: {error}") from None
    return [(given.question, context)]


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(answer)
        _ = found["answer"], found["start"], found["end"], found["score"], found["version"]
    except (ValueError, KeyError, TypeError):
        raise ToolError("the response is not an answer of this project's server") from None
    return found


def _show(console: Console, context: str, answer: dict[str, Any], milliseconds: float) -> None:
    console.print(Text(answer["question"], style="bold"))
    for one in answer.get("answers", [answer]):
        console.print(_excerpt(context, one["start"], one["end"]) if one["answer"] else Text("no answer", style="dim"))
        console.print(Text(f"  score {one['score']:.2f}, characters {one['start']} to {one['end']}", style="dim"))
    console.print(Text(f"  {answer['version']}, {milliseconds:.0f} ms\n", style="dim"))


def _excerpt(context: str, start: int, end: int) -> Text:
    """The answer, marked, with the context around it; brackets where there is no colour."""
    left, right = max(0, start - EXCERPT_CHARACTERS), min(len(context), end + EXCERPT_CHARACTERS)
    before, after = " ".join(context[left:start].split("\n")), " ".join(context[end:right].split("\n"))
    text = Text(f"  {'…' if left else ''}{before}")
    text.append(f"[{context[start:end]}]", style="bold green")
    return text.append(f"{after}{'…' if right < len(context) else ''}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="invoke", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--question", help="with --context or --context-file")
    what.add_argument("--data", type=str, metavar="FILE", help="questions in SQuAD's format")
    text = parser.add_mutually_exclusive_group()
    text.add_argument("--context", help="the text; - reads it from the standard input")
    text.add_argument("--context-file", type=Path, metavar="FILE", help="the text, in a file")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", default=DEFAULT_URL, help="a server (default: %(default)s)")
    where.add_argument("--endpoint", metavar="NAME", help="a SageMaker endpoint")
    add("--region", help="of the endpoint (default: AWS's own settings)")
    add("--variant", help="of the endpoint (default: by the traffic's weights)")
    add("--precision", type=str.upper, choices=PRECISIONS, help="(default: the fastest that is loaded)")
    add("--top-k", type=int, default=1, metavar="N", help="so many answers (default: 1)")
    add("--limit", type=int, metavar="N", help="only the first N questions of --data")
    add("--json", action="store_true", help="answers as they come, one line each")
    given = parser.parse_args()
    if given.question is not None and given.context is None and given.context_file is None:
        parser.error("--question needs --context or --context-file")
    return given


if __name__ == "__main__":
    run(main)
