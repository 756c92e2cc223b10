"""Real questions as request bodies, and the windows that they become."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from serve.qa.features import Window
from tools.local_model import Cutter
from tools.squad.examples import Example, read_examples


def add_arguments(parser: ArgumentParser) -> None:
    """--model-dir, --data, --questions."""
    parser.add_argument("--model-dir", type=Path, default=Path("build/bert-base"))
    parser.add_argument("--data", default="models/demo/held_out.json", help="questions in SQuAD's format")
    parser.add_argument("--questions", type=int, default=400, help="how many of them, evenly spread")


def read(data: str, questions: int) -> list[Example]:
    """Evenly spread over the file."""
    examples = read_examples(data)
    return examples[:: max(1, len(examples) // questions)][:questions]


def bodies(examples: Sequence[Example], precision: str | None = None) -> list[bytes]:
    """Return one request for each question. Without a precision, the server chooses it."""
    version = {} if precision is None else {"version": precision}
    return [json.dumps({"question": each.question, "context": each.context, **version}).encode() for each in examples]


def windows(examples: Sequence[Example], cutter: Cutter) -> list[Window]:
    """What the model sees of them."""
    return [window for each in examples for window in cutter.cut(each)[1]]
