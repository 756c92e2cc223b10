"""The span search of Hugging Face's run_qa example, as its documentation tells it: the reference for ours.

For each window the 20 best starts and the 20 best ends, over all its positions. A pair counts if both lie in the
context, the end is not before the start, and it spans at most 30 tokens. The best pair of all windows is the answer;
its score is start logit + end logit. Without any pair the original answers the text "empty"; here that is None.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve.qa.features import Document, Window
from tools.local_model import Logits

N_BEST = 20
MAX_ANSWER_LEN = 30


@dataclass(frozen=True)
class Span:
    """Code points of the context, end exclusive, and start logit + end logit."""

    start: int
    end: int
    score: float


def best_span(document: Document, windows: Sequence[Window], logits: Sequence[Logits]) -> Span | None:
    """The answer by run_qa's rule."""
    best: Span | None = None
    for window, (start_logits, end_logits) in zip(windows, logits, strict=True):
        shift = window.first_token - window.context_offset  # from a position in the window to one in the document
        in_context = range(window.context_offset, window.context_offset + window.context_tokens)
        ends = [int(last) for last in np.argsort(end_logits)[: -N_BEST - 1 : -1]]
        for first in (int(one) for one in np.argsort(start_logits)[: -N_BEST - 1 : -1]):
            for last in ends:
                if first not in in_context or last not in in_context or not 0 <= last - first < MAX_ANSWER_LEN:
                    continue
                score = float(start_logits[first] + end_logits[last])
                if best is None or score > best.score:
                    best = Span(int(document.starts[first + shift]), int(document.ends[last + shift]), score)
    return best
