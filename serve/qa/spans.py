"""Ranks answer spans by the logits of all windows. Pure numpy.

The search is exact: one table holds the best logit sum of every valid span of the document. Its row is the span's first
token, and its column is the number of tokens that follow. A span that two windows contain counts once, with the better
of its two sums. The score is a softmax over the table, that is, a probability over all valid spans of all windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from serve.errors import InferenceFailed
from serve.qa.features import Document, Window
from serve.qa.types import Answer

Logits = tuple[np.ndarray, np.ndarray]  # start and end logits of one window, (T,) float32 each


@dataclass(frozen=True)
class SpanRules:
    """What counts as an answer. max_answer_len is in tokens."""

    top_k: int
    max_answer_len: int
    handle_impossible_answer: bool
    align_to_words: bool


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
    if not all(np.isfinite(part).all() for pair in logits for part in pair):
        raise InferenceFailed("the model returned a logit that is NaN or infinity")
    table = span_table(len(document.ids), windows, logits, rules.max_answer_len)
    null = min(float(start[0] + end[0]) for start, end in logits) if rules.handle_impossible_answer else -np.inf
    best = max(float(table.max(initial=-np.inf)), null)
    if best == -np.inf:
        return [Answer("", 0.0, 0, 0)]
    if not np.isfinite(best):
        raise InferenceFailed("the model returned logits whose sum is infinity")
    total = float(np.exp(table - best).sum(dtype=np.float64)) + float(np.exp(null - best))
    spans = [(logit, span) for span, logit in _best_spans(document, table, rules).items()]
    if rules.handle_impossible_answer:
        spans.append((null, (0, 0)))
        spans.sort(key=lambda candidate: -candidate[0])
    return [
        Answer(context[start:end], min(float(np.exp(logit - best)) / total, 1.0), start, end)
        for logit, (start, end) in spans[: rules.top_k]
    ]


def span_table(tokens: int, windows: Sequence[Window], logits: Sequence[Logits], max_answer_len: int) -> np.ndarray:
    """Return the best sum of start and end logit of each span over all windows, (N, A) float32.

    Row i and column k stand for the span of document tokens i to i + k, inclusive; -inf if no window holds the span.
    """
    columns = max(1, min(max_answer_len, max(window.context_tokens for window in windows)))
    table = np.full((tokens, columns), -np.inf, dtype=np.float32)
    beyond = np.full(columns, -np.inf, dtype=np.float32)
    for window, (start, end) in zip(windows, logits, strict=True):
        part = slice(window.context_offset, window.context_offset + window.context_tokens)
        ends = sliding_window_view(np.concatenate((end[part], beyond)), columns)  # (n + 1, A): row i is end[i : i + A]
        rows = table[window.first_token : window.first_token + window.context_tokens]
        np.maximum(rows, start[part, None] + ends[:-1], out=rows)
    return table


def _best_spans(document: Document, table: np.ndarray, rules: SpanRules) -> dict[tuple[int, int], float]:
    """Return the top_k distinct spans (start, end), in code points, with their logit sums, best first."""
    starts, ends = document.starts, document.ends
    if rules.align_to_words:
        starts, ends = document.word_starts, document.word_ends
    flat = table.ravel()
    found: dict[tuple[int, int], float] = {}
    candidates = rules.top_k
    while True:  # several spans may align to the same words and so be one answer: then more candidates are needed
        candidates = min(candidates, flat.size)
        for index in _largest(flat, candidates):
            if flat[index] == -np.inf:  # no window holds it
                break
            first, length = divmod(int(index), table.shape[1])
            found.setdefault((int(starts[first]), int(ends[first + length])), float(flat[index]))
        if len(found) >= rules.top_k or candidates == flat.size:
            return dict(list(found.items())[: rules.top_k])
        candidates *= 4


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the largest values, largest first; of equal values, the one with the lowest index."""
    if count == 1:
        return np.array([values.argmax()])
    chosen = np.argpartition(-values, count - 1)[:count]
    ranked: np.ndarray = chosen[np.lexsort((chosen, -values[chosen]))]
    return ranked
