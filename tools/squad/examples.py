"""Questions with their gold answers, read from a file in SQuAD's format."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import ToolError


@dataclass(frozen=True)
class Example:
    """A question with its context and its gold answers, any of which is right; none: the context does not answer it."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...]


def read_examples(source: str) -> list[Example]:
    """Read a file in SQuAD's format; `squad` takes SQuAD v1.1's training set from the Hugging Face hub.

    Raises: ToolError.
    """
    if source == "squad":
        return _from_hub()
    return [example for article in read_articles(source) for example in article]


def read_articles(source: str) -> list[list[Example]]:
    """The examples of each article of a file.

    Raises: ToolError.
    """
    path = Path(source)
    try:
        content = json.loads(path.read_bytes())
        return [list(_examples(article)) for article in content["data"]]
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(
            f"{path} is not in SQuAD's format (data > paragraphs > context, qas > id, question, answers > text): "
            f"{type(error).__name__} {error}"
        ) from None


def _examples(article: dict[str, Any]) -> Iterable[Example]:
    for paragraph in article["paragraphs"]:
        for qa in paragraph["qas"]:
            answers = tuple(_text(answer["text"]) for answer in qa["answers"])
            yield Example(str(qa["id"]), _text(qa["question"]), _text(paragraph["context"]), answers)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} stands where a text should")
    return value


def _from_hub() -> list[Example]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise ToolError("`squad` needs the datasets library: pip install datasets; or name a file") from None
    try:
        rows = load_dataset("squad", split="train")
    except Exception as error:  # the library raises whatever its network stack does
        raise ToolError(f"cannot get SQuAD from the hub: {error}. Name a file in SQuAD's format instead") from None
    return [Example(row["id"], row["question"], row["context"], tuple(row["answers"]["text"])) for row in rows]
