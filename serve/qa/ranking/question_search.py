"""What one question asks for, found in the logits of its windows: the best spans, or the relevant sentences."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import numpy as np

from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.highlight.highlights import highlights_of
from serve.qa.highlight.sentence_scores import SentenceScores
from serve.qa.highlight.token_relevance import TokenRelevance
from serve.qa.ranking.answer_room import AnswerRoom
from serve.qa.ranking.passages import in_passages
from serve.qa.spans import Logits, SpanRules, SpanSearch, rank
from serve.qa.types import Answer, Highlight, Question


class Chosen(NamedTuple):
    """What was chosen in a context: the best span, or the sentences; their places in code points, and their text."""

    places: tuple[tuple[int, int], ...]
    text: str


Choose = Callable[[Sequence[Logits]], Chosen]  # from the logits of all windows


class Found(NamedTuple):
    """The answers to a question, best first, and its highlights; as in serve.qa.types.AnsweredQuestion."""

    answers: list[Answer]
    highlights: list[Highlight] | None
    chosen: Chosen


class QuestionSearch(Protocol):
    """The search for one question, to which windows are added in their order."""

    def add(self, window: Window, logits: Logits) -> None:
        """Add the next window. Raises: InferenceFailed if a logit is not finite."""

    def found(self, room: AnswerRoom) -> Found:
        """Return what was found in all windows. Raises: PayloadTooLarge if there is no room for it."""

    def chooser(self, windows: Sequence[Window]) -> Choose:
        """Return a function that chooses again, from other logits of the same windows. It keeps no part of this."""


class SpansOfQuestion:
    """The search of a question-answering model: for answers, or for the sentences that hold them."""

    def __init__(
        self, question: Question, document: Document, longest: int, rules: SpanRules, ends: np.ndarray | None
    ) -> None:
        """longest: the largest number of the document's tokens in one window. ends: of the sentences to highlight."""
        self._question = question
        self._document = document
        self._rules = rules
        self._scores = None if ends is None else SentenceScores(document, ends)
        self._search = SpanSearch(document, longest, rules, self._scores)

    def add(self, window: Window, logits: Logits) -> None:
        """Add the next window."""
        self._search.add(window, logits)

    def found(self, room: AnswerRoom) -> Found:
        """Return the answers, and the highlights if the question asks for them."""
        question, scores = self._question, self._scores
        answers = self._search.answers(question.context, room if scores is None else None)
        chosen = _chosen_span(answers[0])
        highlights = None
        if scores is not None and (wanted := question.parameters.highlight):
            best = scores.best(self._search.total_weight, wanted.threshold, wanted.sentences)
            highlights = highlights_of(question, scores.ends, best) if answers[0].answer else []
            room.take_texts((len(each.text) for each in highlights), lower="parameters.top_k")
        if question.passage_ends:
            answers = in_passages(answers, question.passage_ends)
        return Found(answers, highlights, chosen)

    def chooser(self, windows: Sequence[Window]) -> Choose:
        """Return a function that chooses the best span."""
        return partial(_choose_span, self._question.context, self._document, windows, self._rules)


class RelevantSentences:
    """The search of a token-relevance model, which has no answers."""

    def __init__(self, question: Question, document: Document, ends: np.ndarray) -> None:
        """ends: of the sentences."""
        self._question = question
        self._document = document
        self._scores = TokenRelevance(document, ends)

    def add(self, window: Window, logits: Logits) -> None:
        """Add the next window."""
        self._scores.add(window, logits)

    def found(self, room: AnswerRoom) -> Found:
        """Return the highlights."""
        question, ends = self._question, self._scores.ends
        best = _best(question, self._scores)
        highlights = highlights_of(question, ends, best)
        room.take_texts((len(each.text) for each in highlights), lower="parameters.top_k")
        return Found([], highlights, _chosen_sentences(question.context, ends, best))

    def chooser(self, windows: Sequence[Window]) -> Choose:
        """Return a function that chooses the sentences."""
        return partial(_choose_sentences, self._question, self._document, windows, self._scores.ends)


def _chosen_span(answer: Answer) -> Chosen:
    return Chosen(((answer.start, answer.end),), answer.answer)


def _choose_span(
    context: str, document: Document, windows: Sequence[Window], rules: SpanRules, logits: Sequence[Logits]
) -> Chosen:
    return _chosen_span(rank(context, document, windows, logits, rules)[0])


def _best(question: Question, scores: TokenRelevance) -> list[tuple[int, float]]:
    wanted = question.parameters.highlight
    assert wanted is not None, "a question for answers was asked of a token-relevance model"
    return scores.best(wanted.threshold, wanted.sentences)


def _chosen_sentences(context: str, ends: np.ndarray, best: Sequence[tuple[int, float]]) -> Chosen:
    places = tuple((int(ends[index - 1]) if index else 0, int(ends[index])) for index, _ in best)
    return Chosen(places, "".join(context[start:end] for start, end in places))


def _choose_sentences(
    question: Question, document: Document, windows: Sequence[Window], ends: np.ndarray, logits: Sequence[Logits]
) -> Chosen:
    scores = TokenRelevance(document, ends)
    for window, pair in zip(windows, logits, strict=True):
        scores.add(window, pair)
    return _chosen_sentences(question.context, ends, _best(question, scores))
