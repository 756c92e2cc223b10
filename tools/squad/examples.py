"""Questions with their gold answers, read from a file in SQuAD's format."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tools.errors import ToolError

T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """A question with its context and its gold answers.

    Any one of the gold answers is right. If there are none, the context does not answer the question.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...]


def read_examples(source: str) -> list[Example]:
    """Read a file in SQuAD's format. `squad` stands for SQuAD v1.1's training set on the Hugging Face hub.

    Raises: ToolError.
    """
    if source == "squad":
        return _from_hub()
    return [example for article in read_articles(source) for example in article]


def read_articles(source: str) -> list[list[Example]]:
    """Read a file in SQuAD's format and keep the examples of each article together.

    Raises: ToolError.
    """
    return list(iterate_squad_file(Path(source), lambda article: [list(_examples(article))]))


def iterate_squad_file(path: Path, parse_article: Callable[[dict[str, Any]], Iterable[T]]) -> Iterator[T]:
    """Read a file in SQuAD's format and yield what parse_article yields for each article.

    parse_article may raise KeyError, TypeError or ValueError if the article is not as it should be.

    Raises: ToolError.
    """
    try:
        for article in json.loads(path.read_bytes())["data"]:
            yield from parse_article(article)
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
        raise TypeError(f"{value!r} is not a string")
    return value


def _from_hub() -> list[Example]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise ToolError("`squad` needs the datasets library: run `pip install datasets`, or name a file") from None
    try:
        rows = load_dataset("squad", split="train")
    except Exception as error:  # the library passes on whatever its HTTP client raises
        raise ToolError(f"cannot load SQuAD from the hub: {error}. Name a file in SQuAD's format instead") from None
    return [Example(row["id"], row["question"], row["context"], tuple(row["answers"]["text"])) for row in rows]
