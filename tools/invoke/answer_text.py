"""Show an answer on the terminal, marked in its context."""

from typing import Any

from rich.console import Console
from rich.text import Text

EXCERPT_CHARACTERS = 120  # on each side of the answer


def show(console: Console, context: str, response: dict[str, Any], milliseconds: float) -> None:
    """Print the question, each answer in its context with score and place, the precision, and the time taken."""
    console.print(Text(response["question"], style="bold"))
    for one in response.get("answers", [response]):
        console.print(_excerpt(context, one["start"], one["end"]) if one["answer"] else Text("no answer", style="dim"))
        console.print(Text(f"  score {one['score']:.2f}, characters {one['start']} to {one['end']}", style="dim"))
    console.print(Text(f"  {response['precision']}, {milliseconds:.0f} ms\n", style="dim"))


def _excerpt(context: str, start: int, end: int) -> Text:
    """Return the answer with the context around it. Brackets mark the answer if the text has no colours."""
    left, right = max(0, start - EXCERPT_CHARACTERS), min(len(context), end + EXCERPT_CHARACTERS)
    before, after = " ".join(context[left:start].splitlines()), " ".join(context[end:right].splitlines())
    text = Text(f"  {'…' if left else ''}{before}")
    text.append(f"[{context[start:end]}]", style="bold green")
    return text.append(f"{after}{'…' if right < len(context) else ''}")
