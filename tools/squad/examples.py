"""Questions with their gold answers, read from a file in SQuAD's format."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tools.errors import ToolError
from tools.squad.named_sets import path_of

T = TypeVar("T")


@dataclass(frozen=True)
class Example:
    """A question with its context and its gold answers.

    Any one of the gold answers is right. If there are none, the context does not answer the question, or the answers
    were not read.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...]


def read_examples(source: str, *, reads_answers: bool = True) -> list[Example]:
    """Read a file in SQuAD's format, or a part of SQuAD by its name, such as squad:validation.

    With reads_answers=False, the questions need no answers, and answers in the file are not looked at.

    Raises: ToolError.
    """
    return list(iterate_squad_file(path_of(source), lambda article: _examples(article, reads_answers=reads_answers)))


def read_articles(source: str) -> list[list[Example]]:
    """Read what `read_examples` reads, and keep the examples of each article together.

    Raises: ToolError.
    """
    return list(iterate_squad_file(path_of(source), lambda article: [list(_examples(article, reads_answers=True))]))


def iterate_squad_file(path: Path, parse_article: Callable[[dict[str, Any]], Iterable[T]]) -> Iterator[T]:
    """Read a file in SQuAD's format and yield what parse_article yields for each article.

    parse_article may raise KeyError, TypeError or ValueError if the article is not as it should be, or a ToolError that
    names the question.

    Raises: ToolError.
    """
    try:
        for article in json.loads(path.read_bytes())["data"]:
            yield from parse_article(article)
    except ToolError as error:
        raise ToolError(f"{path}: {error}") from None
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else f"{type(error).__name__} {error}"
        raise ToolError(
            f"{path} is not in SQuAD's format (data > paragraphs > context, qas > id, question, answers > text, "
            f"answer_start): {problem}"
        ) from None


def _examples(article: dict[str, Any], *, reads_answers: bool) -> Iterable[Example]:
    for paragraph in article["paragraphs"]:
        for qa in paragraph["qas"]:
            answers = _gold_answers(qa) if reads_answers else ()
            yield Example(str(qa["id"]), _text(qa["question"]), _text(paragraph["context"]), answers)


def _gold_answers(qa: dict[str, Any]) -> tuple[str, ...]:
    """Return the gold answers of a question, none if the file says that its context does not answer it.

    A file says so by `is_impossible`, by an empty list of answers, or by an empty text. SQuAD v2.0 keeps the plausible
    answers of such a question apart, but some files have them in `answers`: they are not gold answers.

    Raises: ToolError if the question contradicts itself. KeyError or TypeError if it is not in SQuAD's format.
    """
    if says_impossible(qa):
        return ()
    answers = tuple(_text(answer["text"]) for answer in qa["answers"])
    texts = tuple(answer for answer in answers if answer.strip())
    if texts and len(texts) < len(answers):
        raise ToolError(
            f"the question {qa['id']} contradicts itself: it has an empty answer, which means that there is none, "
            f"beside the answer {texts[0]!r}. Remove one of them"
        )
    if not texts and qa.get("is_impossible") is False:
        raise ToolError(
            f"the question {qa['id']} contradicts itself: is_impossible is false, but it has no answer. Set "
            "is_impossible to true, or add its answer"
        )
    return texts


def says_impossible(qa: dict[str, Any]) -> bool:
    """Return whether a question has `is_impossible`, which SQuAD v2.0 sets if the context does not answer it.

    Raises: TypeError if the field is neither true nor false.
    """
    value = qa.get("is_impossible")
    if not isinstance(value, bool | None):
        raise TypeError(f"is_impossible is {value!r}, not true or false")
    return value is True


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value
