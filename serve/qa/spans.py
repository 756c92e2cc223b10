"""Ranks answer spans by the logits of all windows. Pure numpy.

The search is exact: one table holds the best logit sum of every valid span of the document. Its row is the span's first
token, and its column is the number of tokens that follow. A span that two windows contain counts once, with the better
of its two sums. The score is a softmax over the table, that is, a probability over all valid spans of all windows.

Only a part of the table exists at a time. The windows arrive in the order of the document, so the rows before a window
are complete when it arrives, and what they contribute can be kept in their place: the best spans and the sum of the
softmax. Memory and the time of one step are therefore bounded, whatever the length of the document.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve.errors import InferenceFailed
from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.highlight.sentence_scores import SentenceScores
from serve.qa.ranking.answer_room import DETAILED_ANSWER_CHARS, AnswerRoom
from serve.qa.ranking.calibration import Calibration
from serve.qa.ranking.candidates import Candidate, best_spans, leave_out_blanks, merge
from serve.qa.types import Answer

Logits = tuple[np.ndarray, np.ndarray]  # start and end logits of one window, (T,) float32 each


@dataclass(frozen=True, slots=True)
class SpanRules:
    """What counts as an answer, and what it reports. max_answer_len is in tokens.

    no_answer_threshold: with handle_impossible_answer, "" is the answer if the smallest null logit sum of all windows
    exceeds the best span's by more than this. returns_logits: answers report logit sums.
    calibration: of the scores; None: they are a plain softmax.
    """

    top_k: int
    max_answer_len: int
    handle_impossible_answer: bool
    align_to_words: bool
    no_answer_threshold: float = 0.0
    returns_logits: bool = False
    calibration: Calibration | None = None


LARGEST_EXPONENT = 700.0  # math.exp raises an error above 709
INFINITE_SUM = "the model returned logits whose sum is infinity"
BLOCK_CELLS = 2**18  # of the table that exist at a time (1 MB); an ordinary document needs fewer


class SpanSearch:
    """The search over one document, to which windows are added in their order."""

    def __init__(
        self, document: Document, longest: int, rules: SpanRules, sentences: SentenceScores | None = None
    ) -> None:
        """longest: the largest number of the document's tokens in one window. sentences: get the weights of spans."""
        self._document = document
        self._rules = rules
        self._sentences = sentences
        columns = max(1, min(rules.max_answer_len, longest))
        rows = min(len(document), max(BLOCK_CELLS // columns, 2 * longest))
        self._table = np.full((rows, columns), -np.inf, dtype=np.float32)
        self._beyond = np.full(columns, -np.inf, dtype=np.float32)
        self._first_row = 0  # the token of the table's first row
        self._null = np.inf
        self._best = -np.inf
        self._temperature = rules.calibration.temperature if rules.calibration else 1.0
        self._total = 0.0  # of exp((logit - best) / temperature) over the completed rows
        self._spans: list[Candidate] = []

    def add(self, window: Window, logits: Logits) -> None:
        """Add the next window.

        Raises: InferenceFailed if a logit is not finite.
        """
        start, end = logits
        if not (np.isfinite(start).all() and np.isfinite(end).all()):
            raise InferenceFailed("the model returned a logit that is NaN or infinity")
        self._null = min(self._null, float(start[0] + end[0]))
        if window.first_token + window.context_tokens > self._first_row + len(self._table):
            self._complete(window.first_token)
        part = slice(window.context_offset, window.context_offset + window.context_tokens)
        first = window.first_token - self._first_row
        rows = self._table[first : first + window.context_tokens]
        padded = np.concatenate((end[part], self._beyond))
        # Row i is padded[i : i + columns].
        ends = np.ndarray(rows.shape, padded.dtype, padded, strides=2 * padded.strides)
        np.maximum(rows, start[part, None] + ends, out=rows)

    def answers(self, context: str, room: AnswerRoom | None = None) -> list[Answer]:
        """Return the best top_k answers over all windows, best first. See `rank`.

        Raises: PayloadTooLarge if there is no room for them.
        """
        rules = self._rules
        self._complete(self._first_row + len(self._table))
        if rules.handle_impossible_answer or rules.returns_logits or rules.calibration:
            return self._detailed_answers(context, room)
        if self._best == -np.inf:
            return [Answer("", 0.0, 0, 0)]
        if not math.isfinite(self._best):
            raise InferenceFailed(INFINITE_SUM)
        if room is not None:
            room.take(self._spans)
        return [
            Answer(context[start:end], min(math.exp(logit - self._best) / self._total, 1.0), start, end)
            for logit, (start, end) in self._spans
        ]

    @property
    def total_weight(self) -> float:
        """The sum of the weights of all candidates, relative to the best span. It is known after `answers`."""
        if not self._rules.handle_impossible_answer:
            return self._total
        return self._total + math.exp(min((self._null - self._best) / self._temperature, LARGEST_EXPONENT))

    def _detailed_answers(self, context: str, room: AnswerRoom | None) -> list[Answer]:
        """Return the answers if "" competes with the spans, if they report logits, or if scores are calibrated."""
        rules = self._rules
        null = self._null if rules.handle_impossible_answer else -np.inf
        best = max(self._best, null)
        if best == -np.inf:
            return [Answer("", 0.0, 0, 0, {"logit": None} if rules.returns_logits else None)]
        if not math.isfinite(best):
            raise InferenceFailed(INFINITE_SUM)
        nulls: list[Candidate] = [(null, (0, 0))] if rules.handle_impossible_answer else []
        ranked = sorted([*self._spans, *nulls], key=lambda candidate: -candidate[0])
        calibration = rules.calibration or Calibration()
        total = self._total * calibration.weight(self._best - best) + calibration.weight(null - best)
        scores = calibration.scores([logit - best for logit, _ in ranked], total)
        order = list(range(len(ranked)))
        shared: dict[str, float] = {}
        if nulls:
            of_null = ranked.index(nulls[0])
            shared["null_score"] = scores[of_null]
            if rules.returns_logits:
                shared["null_logit"] = null
            is_empty = null - self._best > rules.no_answer_threshold
            first = of_null if is_empty else min(index for index in order if index != of_null)
            order.sort(key=lambda index: index != first)
        order = order[: rules.top_k]
        if room is not None:
            room.take([ranked[index] for index in order], DETAILED_ANSWER_CHARS)
        return [
            Answer(
                context[start:end],
                scores[index],
                start,
                end,
                {**shared, "logit": logit} if rules.returns_logits else shared or None,
            )
            for index, (logit, (start, end)) in ((index, ranked[index]) for index in order)
        ]

    def _complete(self, end: int) -> None:
        """Take the best spans and the sum out of the rows before the document's token `end`, and drop these rows."""
        rows = self._table[: end - self._first_row]
        if self._document.has_blanks:
            leave_out_blanks(self._document, self._first_row, rows)
        best = self._weigh(rows)
        top_k = self._rules.top_k
        if best > (self._spans[-1][0] if len(self._spans) == top_k else -np.inf):
            found = best_spans(self._document, self._first_row, rows, top_k, self._rules.align_to_words)
            self._spans = merge(self._spans, found, top_k)
        if end < self._first_row + len(self._table):
            kept = len(self._table) - len(rows)
            self._table[:kept] = self._table[len(rows) :].copy()
            self._table[kept:] = -np.inf
        self._first_row = end

    def _weigh(self, rows: np.ndarray) -> float:
        """Add the softmax's weights of some rows to the total and to those of their sentences; return the best sum."""
        best = float(rows.max(initial=-np.inf))
        if best > self._best:
            factor = math.exp((self._best - best) / self._temperature)
            self._total *= factor
            self._best = best
            if self._sentences is not None:
                self._sentences.scale(factor)
        if math.isfinite(self._best):
            below = rows - np.float32(self._best)
            if self._temperature != 1:
                below /= np.float32(self._temperature)
            weights = np.exp(below)
            self._total += float(weights.sum(dtype=np.float64))
            if self._sentences is not None:
                self._sentences.add(self._first_row, weights)
        return best


def rank(
    context: str,
    document: Document,
    windows: Sequence[Window],
    logits: Sequence[Logits],
    rules: SpanRules,
) -> list[Answer]:
    """Choose the best top_k answers, best first. Without a valid span the only answer is "" with score 0.

    Shapes: logits are (start, end) for each window, (T,) float32 each.
    Raises: InferenceFailed if a logit is not finite.
    Source: the selection rule of run_qa's utils_qa.py (start logit plus end logit over context tokens, the end not
    before the start, at most max_answer_len tokens), except that all spans are searched,
    not only those of the 20 best starts and ends of each window.
    """
    search = SpanSearch(document, max(window.context_tokens for window in windows), rules)
    for window, pair in zip(windows, logits, strict=True):
        search.add(window, pair)
    return search.answers(context)
