"""Which sentences hold the gold answers, and how well highlights agree with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model_loader.artifact import Artifact
from serve.qa.highlight.highlights import ends_of
from serve.qa.highlight.sentence_scores import SentenceScores
from serve.qa.highlight.task import DEFAULT_SENTENCES
from serve.qa.highlight.token_relevance import TokenRelevance
from serve.qa.ranking.calibration import Calibration
from serve.qa.spans import SpanSearch
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel
from tools.squad.examples import Example, iterate_squad_file, says_impossible
from tools.squad.named_sets import path_of
from tools.squad.rules import EVALUATION_RULES

Place = tuple[int, int]  # code points of the context, the end exclusive


@dataclass(frozen=True)
class Asked:
    """A question with the places of its gold answers; none if the context does not answer it."""

    example: Example
    answers: tuple[Place, ...]


@dataclass(frozen=True)
class Rated:
    """What the model says about one question.

    gold: the sentences of each gold answer. scores: of each sentence. has_answer: whether a span beats the empty one.
    best_span_overlaps: None for a token-relevance model, which has no spans.
    """

    gold: tuple[frozenset[int], ...]
    scores: np.ndarray
    has_answer: bool
    best_sentence_holds: bool
    best_span_overlaps: bool | None

    def highlighted(self, threshold: float) -> frozenset[int]:
        """Return the sentences that the server highlights."""
        best = np.argsort(-self.scores, kind="stable")[:DEFAULT_SENTENCES]
        return frozenset(best[self.scores[best] >= threshold].tolist()) if self.has_answer else frozenset()


@dataclass(frozen=True)
class Measured:
    """Means over all questions. sentences: how many are highlighted."""

    precision: float
    recall: float
    f1: float
    sentences: float

    @classmethod
    def of(cls, rated: Sequence[Rated], threshold: float) -> "Measured":
        """Return the means at one threshold."""
        found = [(each, each.highlighted(threshold)) for each in rated]
        figures = np.array([agreement(highlighted, each.gold) for each, highlighted in found])
        precision, recall, f1 = figures.mean(axis=0).tolist()
        return cls(precision, recall, f1, float(np.mean([len(highlighted) for _, highlighted in found])))


def agreement(highlighted: frozenset[int], gold: Sequence[frozenset[int]]) -> tuple[float, float, float]:
    """Return precision, recall and F1 for the gold answer that gives the best F1.

    Nothing highlighted is right if there is no gold answer, and wrong if there is one.
    """
    if not gold or not highlighted:
        right = float(not gold and not highlighted)
        return right, right, right
    figures = []
    for sentences in gold:
        common = len(highlighted & sentences)
        precision, recall = common / len(highlighted), common / len(sentences)
        figures.append((2 * precision * recall / (precision + recall) if common else 0.0, precision, recall))
    f1, precision, recall = max(figures)
    return precision, recall, f1


class Sentences:
    """Rates the sentences of contexts with one model."""

    def __init__(self, model: LocalModel, cutter: Cutter, artifact: Artifact) -> None:
        self._model = model
        self._cutter = cutter
        self._has_spans = artifact.task == "question-answering"
        self._rules = replace(
            EVALUATION_RULES,
            top_k=2,  # the empty answer and the best span
            handle_impossible_answer=True,
            no_answer_threshold=artifact.no_answer_threshold,
            calibration=Calibration.of(artifact.temperature, artifact.log_odds_shift),
        )

    def rate(self, asked: Asked) -> Rated:
        """Rate the sentences of one context. A question that cannot be asked has no highlight."""
        context = asked.example.context
        ends = ends_of(context)
        gold = tuple(frozenset(_sentences(ends, answer)) for answer in asked.answers)
        fitted = self._cutter.fitted(asked.example)
        if fitted is None:
            return Rated(gold, np.zeros(len(ends)), False, False, False if self._has_spans else None)
        if not self._has_spans:
            of_sentences = self._relevance(fitted, ends)
            has_answer = bool(of_sentences.any())
            return Rated(gold, of_sentences, has_answer, _best_holds(of_sentences, ends, asked), None)
        document, windows = self._cutter.cut(fitted)
        scores = SentenceScores(document, ends)
        search = SpanSearch(document, max(window.context_tokens for window in windows), self._rules, scores)
        for window in windows:
            search.add(window, self._model.forward(window))
        answers = search.answers(context)
        span = next(((each.start, each.end) for each in answers if each.answer), None)
        if span is None:
            return Rated(gold, np.zeros(len(ends)), False, False, False)
        of_sentences = _of_all(scores.best(search.total_weight, 0.0, len(ends)), len(ends))
        return Rated(
            gold,
            of_sentences,
            bool(answers[0].answer),
            _best_holds(of_sentences, ends, asked),
            any(span[0] < end and start < span[1] for start, end in asked.answers),
        )

    def _relevance(self, example: Example, ends: np.ndarray) -> np.ndarray:
        """Return the scores that a token-relevance model gives the sentences."""
        document, windows = self._cutter.cut(example)
        scores = TokenRelevance(document, ends)
        for window in windows:
            scores.add(window, self._model.forward(window))
        return _of_all(scores.best(0.0, len(ends)), len(ends))


def _of_all(best: Sequence[tuple[int, float]], sentences: int) -> np.ndarray:
    """Return the scores of all sentences; those that are not among the best have 0."""
    scores = np.zeros(sentences)
    for index, score in best:
        scores[index] = score
    return scores


def _best_holds(scores: np.ndarray, ends: np.ndarray, asked: Asked) -> bool:
    """Return whether the sentence with the highest score contains a gold answer."""
    if not scores.any():
        return False
    best = int(scores.argmax())
    first, last = int(ends[best - 1]) if best else 0, int(ends[best])
    return any(first <= start and end <= last for start, end in asked.answers)


def read_answers(source: str) -> list[Asked]:
    """Read a file in SQuAD's format, or a part of SQuAD by its name.

    Raises: ToolError.
    """
    return list(iterate_squad_file(path_of(source), _asked))


def _asked(article: dict[str, Any]) -> Iterator[Asked]:
    for paragraph in article["paragraphs"]:
        context = paragraph["context"]
        for qa in paragraph["qas"]:
            answers = () if says_impossible(qa) else qa["answers"]
            places = tuple((int(one["answer_start"]), int(one["answer_start"]) + len(one["text"])) for one in answers)
            texts = tuple(one["text"] for one in answers)
            if [context[start:end] for start, end in places] != list(texts):
                raise ToolError(
                    f"the question {qa['id']} has an answer that does not stand at its answer_start: the number of "
                    "characters of the context before the answer. Correct it"
                )
            yield Asked(Example(str(qa["id"]), qa["question"], context, texts), places)


def _sentences(ends: np.ndarray, place: Place) -> range:
    """Return the sentences that a place touches."""
    first, last = np.searchsorted(ends, (place[0], max(place[0], place[1] - 1)), side="right").tolist()
    return range(first, last + 1)
