"""The span search of Hugging Face's run_qa example, written from its documentation. Our search is compared with it.

For each window, run_qa takes the 20 best start logits and the 20 best end logits over all positions. A pair counts if
both positions lie in the context, the end is not before the start, and the pair spans at most 30 tokens. The best pair
of all windows is the answer, and its score is start logit + end logit. If no pair counts, the original answers with the
text "empty"; best_span returns None.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve.qa.document import Document
from serve.qa.features import Window
from tools.local_model import Logits

N_BEST = 20
MAX_ANSWER_LEN = 30


@dataclass(frozen=True)
class Span:
    """An answer. start and end are code points of the context, end exclusive; score is start logit + end logit."""

    start: int
    end: int
    score: float


def best_span(document: Document, windows: Sequence[Window], logits: Sequence[Logits]) -> Span | None:
    """Return the answer by run_qa's rule.

    Shapes: each pair in `logits` is (T,) float32, T tokens of the window.
    """
    best: Span | None = None
    tokens = document.whole
    for window, (start_logits, end_logits) in zip(windows, logits, strict=True):
        shift = window.first_token - window.context_offset  # position in the window -> token of the document
        in_context = range(window.context_offset, window.context_offset + window.context_tokens)
        ends = _best_positions(end_logits)
        for first in _best_positions(start_logits):
            for last in ends:
                if first not in in_context or last not in in_context or not 0 <= last - first < MAX_ANSWER_LEN:
                    continue
                score = float(start_logits[first] + end_logits[last])
                if best is None or score > best.score:
                    best = Span(int(tokens.starts[first + shift]), int(tokens.ends[last + shift]), score)
    return best


def _best_positions(logits: np.ndarray) -> list[int]:
    """Return the positions of the N_BEST largest logits, the largest first."""
    return [int(position) for position in np.argsort(logits)[: -N_BEST - 1 : -1]]
