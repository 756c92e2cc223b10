"""Training data: labelled windows of questions in SQuAD's format, and cloze questions made of the contexts' sentences.

All random choices depend on a seed, so the same files give the same data.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serve.errors import InvalidRequest
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from tools.squad.examples import parse_squad_file

SENTENCE = re.compile(r"[^.!?]+[.!?]")
# What a cloze question asks for, and the words that replace it in the sentence.
ASKED = (
    (re.compile(r"\b(?:1[0-9]|20)\d\d\b"), "what year"),
    (re.compile(r"\b\d[\d,.]*\d\b|\b\d\b"), "how many"),
    (re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+(?: (?:of |the )?[A-Z][\w'-]+)*"), "who or what"),
)
CLOZE_WORDS = (6, 40)  # the fewest and the most words of a sentence that makes a cloze question
LENGTH_STEP = 16  # tokens; windows of about the same length go into the same batch


@dataclass(frozen=True)
class TrainingQuestion:
    """A question whose only answer is context[start:end], in code points."""

    question: str
    context: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LabelledWindow:
    """A window with the positions of the answer's first and last token; both are 0 if the answer is not in it."""

    window: Window
    start: int
    end: int


def read_training_questions(path: Path) -> list[TrainingQuestion]:
    """Read the questions of a file that have an answer in their context.

    Raises: ToolError.
    """
    return [question for article in parse_squad_file(path, _questions) for question in article]


def _questions(article: dict[str, Any]) -> Iterator[TrainingQuestion]:
    for paragraph in article["paragraphs"]:
        context = str(paragraph["context"])
        for qa in paragraph["qas"]:
            for answer in qa["answers"][:1]:
                start, text = int(answer["answer_start"]), str(answer["text"])
                if text and context[start : start + len(text)] == text:
                    yield TrainingQuestion(str(qa["question"]), context, start, start + len(text))


def make_cloze_questions(contexts: Sequence[str], per_context: int, seed: int) -> list[TrainingQuestion]:
    """Make questions of sentences, by replacing a number, a year or a name; the context answers them."""
    chosen = random.Random(seed)
    made = []
    for context in dict.fromkeys(contexts):
        found = list(_cloze_questions(context))
        made += chosen.sample(found, min(per_context, len(found)))
    return made


def _cloze_questions(context: str) -> Iterator[TrainingQuestion]:
    fewest, most = CLOZE_WORDS
    for sentence in SENTENCE.finditer(context):
        text = sentence[0]
        if not fewest <= len(text.split()) <= most:
            continue
        for pattern, words in ASKED:
            for span in pattern.finditer(text):
                question = f"{text[: span.start()]}{words}{text[span.end() :]}".strip().rstrip(".!?") + "?"
                begin = sentence.start()
                yield TrainingQuestion(question, context, begin + span.start(), begin + span.end())


def label_windows(
    questions: Sequence[TrainingQuestion], featurizer: Featurizer, limits: WindowLimits
) -> list[LabelledWindow]:
    """Return the labelled windows of all questions. Questions that are too long are left out."""
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


def _labelled(window: Window, first: int, last: int) -> LabelledWindow:
    begin = window.first_token
    if first < begin or last >= begin + window.context_tokens:
        return LabelledWindow(window, 0, 0)
    shift = window.context_offset - begin
    return LabelledWindow(window, first + shift, last + shift)


def make_batches(labelled: Sequence[LabelledWindow], tokens: int, seed: int) -> list[list[LabelledWindow]]:
    """Return all windows, each once, in batches of at most `tokens` tokens with padding.

    Windows of similar length share a batch; the order of the batches is random.
    """
    order = random.Random(seed)
    shuffled = order.sample(list(labelled), len(labelled))
    shuffled.sort(key=lambda each: len(each.window.input_ids) // LENGTH_STEP)  # a stable sort keeps the random order
    made: list[list[LabelledWindow]] = [[]]
    for each in shuffled:
        length = max(len(other.window.input_ids) for other in [*made[-1], each])
        if made[-1] and length * (len(made[-1]) + 1) > tokens:
            made.append([])
        made[-1].append(each)
    order.shuffle(made)
    return made
