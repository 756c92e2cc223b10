"""The scores of sentences from a model that says for each token whether it is relevant to the question. Pure numpy."""

import numpy as np

from serve.errors import InferenceFailed
from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.highlight.sentence_scores import best_sentences

Logits = tuple[np.ndarray, np.ndarray]  # of the class "not relevant" and of "relevant", (T,) float32 each

BLOCK_TOKENS = 8192  # that wait at most, beside those of one window, until their sentences are looked up
# Of two windows in which a token has equally much context, the longer one counts, as in BERT's script for SQuAD.
LENGTH_BONUS = 0.01


class TokenRelevance:
    """Averages the probabilities of the tokens of each sentence.

    The windows arrive in the order of the document. A token in the overlap of several windows has the probability of
    the window in which it has the most context: the smaller one of the numbers of tokens to its left and to its right
    is the largest there.
    """

    def __init__(self, document: Document, ends: np.ndarray) -> None:
        """ends: where each sentence ends in the context, (S,) int32."""
        self.ends = ends
        self._document = document
        self._sums = np.zeros(len(ends), dtype=np.float64)
        self._counts = np.zeros(len(ends), dtype=np.int64)
        self._first = 0  # the first token that waits, because a further window may hold it
        self._probabilities = np.empty(0, dtype=np.float64)
        self._contexts = np.empty(0, dtype=np.float64)

    def add(self, window: Window, logits: Logits) -> None:
        """Add the next window.

        Raises: InferenceFailed if a logit is not finite.
        """
        other, relevant = logits
        if not (np.isfinite(other).all() and np.isfinite(relevant).all()):
            raise InferenceFailed("the model returned a logit that is NaN or infinity")
        if window.first_token - self._first >= BLOCK_TOKENS:
            self._complete(window.first_token)
        tokens = window.context_tokens
        part = slice(window.context_offset, window.context_offset + tokens)
        found = probabilities(other[part], relevant[part])
        before = np.arange(tokens)
        context = np.minimum(before, before[::-1]) + LENGTH_BONUS * tokens
        first = window.first_token - self._first
        new = max(0, first + tokens - len(self._contexts))
        self._probabilities = np.concatenate((self._probabilities, np.zeros(new)))
        self._contexts = np.concatenate((self._contexts, np.full(new, -1.0)))
        is_better = context > self._contexts[first : first + tokens]
        self._probabilities[first : first + tokens][is_better] = found[is_better]
        self._contexts[first : first + tokens][is_better] = context[is_better]

    def best(self, threshold: float, count: int) -> list[tuple[int, float]]:
        """Return the best sentences and their scores in the order of the text: at most `count`, none below threshold.

        It is called after the last window.
        """
        self._complete(self._first + len(self._contexts))
        return best_sentences(self._sums / np.maximum(self._counts, 1), threshold, count)

    def _complete(self, end: int) -> None:
        """Add the tokens before the document's token `end` to their sentences.

        A token belongs to the sentence in which it begins. Tokens of white space alone belong to none.
        """
        tokens = self._document.part(self._first, end)
        sentences = np.searchsorted(self.ends, tokens.starts, side="right")
        has_text = (tokens.ends > tokens.starts) & (sentences < len(self.ends))
        if has_text.any():
            sentences = sentences[has_text]
            first = sentences[0]
            found = self._probabilities[: len(has_text)][has_text]
            counts = np.bincount(sentences - first)
            self._counts[first : first + len(counts)] += counts
            self._sums[first : first + len(counts)] += np.bincount(sentences - first, found)
        done = end - self._first
        self._probabilities, self._contexts = self._probabilities[done:], self._contexts[done:]
        self._first = end


def probabilities(other: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Return the probability of the class "relevant" for each token: the softmax of two logits. (T,) float64."""
    found: np.ndarray = np.exp(-np.logaddexp(0.0, other.astype(np.float64) - relevant))
    return found
