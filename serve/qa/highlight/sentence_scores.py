"""The scores of sentences: how probable it is that the answer lies in each of them. Pure numpy."""

from collections.abc import Iterator, Sequence

import numpy as np

from serve.qa.document import Document
from serve.qa.highlight.sentences import sentence_ends


class SentenceScores:
    """Adds up the softmax's weights of the spans that lie inside each sentence.

    The weights arrive in parts, as rows of the table of all spans (serve/qa/spans.py). They are relative to the best
    span so far; when a better one appears, all of them are scaled.
    """

    def __init__(self, document: Document, ends: np.ndarray) -> None:
        """ends: where each sentence ends in the context, (S,) int32."""
        self.ends = ends
        self._document = document
        self._weights = np.zeros(len(ends), dtype=np.float64)

    def scale(self, factor: float) -> None:
        """Multiply all weights."""
        self._weights *= factor

    def add(self, first_row: int, weights: np.ndarray) -> None:
        """Add some rows of the table: the weight of the spans of the tokens i to i + k in row i and column k.

        A span lies inside a sentence if its first character and its last one do. A token of white space alone begins
        where the next word does, and ends where the word before does.
        """
        height, columns = weights.shape
        tokens = self._document.part(first_row, first_row + height + columns - 1)
        sentences = np.maximum.accumulate(np.searchsorted(self.ends, tokens.starts, side="right"))
        sentences_of_ends = np.maximum.accumulate(np.searchsorted(self.ends, tokens.ends - 1, side="right"))
        # The token after the last one with which a span of each row's sentence can end.
        beyond = np.searchsorted(sentences_of_ends, sentences[:height], side="right")
        inside = np.arange(columns) < (beyond - np.arange(len(beyond)))[:, None]
        sums = np.where(inside, weights[: len(beyond)], 0).sum(axis=1, dtype=np.float64)
        if len(sums):
            first = sentences[0]
            of_sentences = np.bincount(sentences[:height] - first, sums)
            part = self._weights[first : first + len(of_sentences)]
            part += of_sentences[: len(part)]  # a token without text may begin at the end of the last sentence

    def best(self, total: float, threshold: float, count: int) -> list[tuple[int, float]]:
        """Return the best sentences and their scores in the order of the text: at most `count`, none below threshold.

        total: the sum of all weights, that of the empty answer included.
        """
        return best_sentences(np.minimum(self._weights / total, 1.0), threshold, count)


def best_sentences(scores: np.ndarray, threshold: float, count: int) -> list[tuple[int, float]]:
    """Return the best sentences and their scores in the order of the text: at most `count`, none below threshold.

    scores: of all sentences, 0 to 1, (S,) float64; those of score 0 are left out.
    """
    chosen = np.flatnonzero((scores >= threshold) & (scores > 0))
    if len(chosen) > count:
        chosen = np.sort(chosen[np.argsort(-scores[chosen], kind="stable")[:count]])
    return [(int(index), float(scores[index])) for index in chosen]


def ends_in_passages(context: str, passage_ends: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield where the sentences of a context end, piece by piece. None of them holds text of two passages.

    passage_ends: as in serve.qa.types.Question.
    """
    begin = 0
    for end in passage_ends or (len(context),):
        for ends in sentence_ends(context[begin:end]):
            yield ends + np.int32(begin)
        begin = end
