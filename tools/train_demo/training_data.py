"""Labelled windows from SQuAD-format files, and cloze questions made of their own sentences. Seeded: no run differs."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve.errors import InvalidRequest
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from tools.errors import ToolError

SENTENCE = re.compile(r"[^.!?]+[.!?]")
# What a cloze question can ask for, and the words that stand in its place.
ASKED = (
    (re.compile(r"\b(?:1[0-9]|20)\d\d\b"), "what year"),
    (re.compile(r"\b\d[\d,.]*\d\b|\b\d\b"), "how many"),
    (re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+(?: (?:of |the )?[A-Z][\w'-]+)*"), "who or what"),
)
CLOZE_WORDS = (6, 40)  # of a sentence that makes a question


@dataclass(frozen=True)
class Question:
    """A question with one answer: context[start:end], in code points."""

    question: str
    context: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Labelled:
    """A window, and the positions of the answer's first and last token in it; 0 and 0 where it is not there."""

    window: Window
    start: int
    end: int


def read_questions(path: Path) -> list[Question]:
    """All questions of a file that have an answer in their context.

    Raises: ToolError.
    """
    try:
        articles = json.loads(path.read_bytes())["data"]
        return [question for article in articles for question in _questions(article)]
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ToolError(f"{path} is not in SQuAD's format with answer_start: {type(error).__name__} {error}") from None


def _questions(article: dict[str, list[dict[str, object]]]) -> Iterator[Question]:
    for paragraph in article["paragraphs"]:
        context = str(paragraph["context"])
        for qa in paragraph["qas"]:  # type: ignore[attr-defined]
            for answer in qa["answers"][:1]:
                start, text = int(answer["answer_start"]), str(answer["text"])
                if text and context[start : start + len(text)] == text:
                    yield Question(str(qa["question"]), context, start, start + len(text))


def cloze_questions(contexts: Sequence[str], per_context: int, seed: int) -> list[Question]:
    """Sentences with a number, a year or a name taken out, asked of the context that they stand in."""
    chosen = random.Random(seed)
    made = []
    for context in dict.fromkeys(contexts):
        found = list(_clozes(context))
        made += chosen.sample(found, min(per_context, len(found)))
    return made


def _clozes(context: str) -> Iterator[Question]:
    shortest, longest = CLOZE_WORDS
    for sentence in SENTENCE.finditer(context):
        text = sentence[0]
        if not shortest <= len(text.split()) <= longest:
            continue
        for pattern, words in ASKED:
            for span in pattern.finditer(text):
                question = f"{text[: span.start()]}{words}{text[span.end() :]}".strip().rstrip(".!?") + "?"
                yield Question(question, context, sentence.start() + span.start(), sentence.start() + span.end())


def label(questions: Sequence[Question], featurizer: Featurizer, limits: WindowLimits) -> list[Labelled]:
    """The windows of all questions; those too long to ask are left out."""
    documents: dict[str, Document] = {}
    labelled = []
    for each in questions:
        if each.context not in documents:
            documents[each.context] = featurizer.encode_context(each.context)
        document = documents[each.context]
        try:
            question_ids = featurizer.encode_question(each.question, limits)
        except InvalidRequest:
            continue
        inside = np.flatnonzero((document.ends > each.start) & (document.starts < each.end))
        if inside.size:
            windows = featurizer.windows(question_ids, document, limits)
            labelled += [_labelled(window, int(inside[0]), int(inside[-1])) for window in windows]
    return labelled


def _labelled(window: Window, first: int, last: int) -> Labelled:
    begin = window.first_token
    if first < begin or last >= begin + window.context_tokens:
        return Labelled(window, 0, 0)
    shift = window.context_offset - begin
    return Labelled(window, first + shift, last + shift)


def batches(labelled: Sequence[Labelled], tokens: int, seed: int) -> list[list[Labelled]]:
    """All windows once, in batches of at most so many padded tokens; alike lengths together, in random order."""
    order = random.Random(seed)
    shuffled = order.sample(list(labelled), len(labelled))
    shuffled.sort(key=lambda each: len(each.window.input_ids) // 16)  # stable: random within 16 tokens
    made: list[list[Labelled]] = [[]]
    for each in shuffled:
        length = max(len(other.window.input_ids) for other in [*made[-1], each])
        if made[-1] and length * (len(made[-1]) + 1) > tokens:
            made.append([])
        made[-1].append(each)
    order.shuffle(made)
    return made
