"""From the scores of sentences to highlights, with the offsets that the caller counts in."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby

import numpy as np

from container.tasks.names import OffsetUnit
from serve.qa.highlight.sentence_scores import ends_in_passages
from serve.qa.types import Highlight, Question


async def cut_sentences(question: Question, give_way: Callable[[], Awaitable[None]]) -> np.ndarray | None:
    """Return where each sentence of a context ends, (S,) int32, if the question asks for highlights; else None.

    give_way: called after each piece of text.
    """
    if question.parameters.highlight is None:
        return None
    ends = [np.empty(0, np.int32)]
    for piece in ends_in_passages(question.context, question.passage_ends):
        ends.append(piece)
        await give_way()
    return np.concatenate(ends)


def ends_of(context: str) -> np.ndarray:
    """Return where each sentence of a context ends, (S,) int32."""
    return np.concatenate([np.empty(0, np.int32), *ends_in_passages(context, ())])


def highlights_of(question: Question, ends: np.ndarray, best: Sequence[tuple[int, float]]) -> list[Highlight]:
    """Return the highlights of a question in the order of the text.

    ends: where each sentence of the context ends. best: the sentences to highlight and their scores, in that order.

    Nothing is to be seen of a sentence of white space alone, so it is left out. Some tokenizers have tokens for
    separators such as U+001C, which are white space to Python and not to JSON Schema.
    """
    rules = question.parameters.highlight
    assert rules is not None
    found = [each for index, score in best if (each := _highlight(question, ends, index, score)).text]
    converted: list[Highlight] = []
    for context_index, group in groupby(found, key=lambda each: each.context_index):
        highlights = list(group)
        begin = question.passage_ends[context_index - 1] if context_index else 0
        bounds = in_units(
            question.context, begin, [at for each in highlights for at in (each.start, each.end)], rules.unit
        )
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        converted += [each.between(*pair) for each, pair in zip(highlights, pairs, strict=True)]
    return converted


def in_units(text: str, begin: int, offsets: Sequence[int], unit: OffsetUnit) -> list[int]:
    """Convert offsets in ascending order from code points to units. The text that they count in starts at `begin`."""
    if unit == "code_points":
        return list(offsets)
    converted, before, units = [], 0, 0
    for offset in offsets:
        part = text[begin + before : begin + offset]
        units += len(part.encode("utf-16-le")) // 2 if unit == "utf16" else len(part.encode())
        before = offset
        converted.append(units)
    return converted


def _highlight(question: Question, ends: np.ndarray, index: int, score: float) -> Highlight:
    """Return a sentence without the white space around it, with its place in its passage."""
    start, end = int(ends[index - 1]) if index else 0, int(ends[index])
    text = question.context[start:end]
    start += len(text) - len(text.lstrip())
    context_index = bisect_right(question.passage_ends, start)
    begin = question.passage_ends[context_index - 1] if context_index else 0
    position = index - int(np.searchsorted(ends, begin, side="right"))
    text = text.strip()
    return Highlight(start - begin, start - begin + len(text), text, score, position, context_index)
