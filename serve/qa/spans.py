"""Logits of all windows -> ranked answer spans. Pure numpy.

The search is exact: one table holds the best logit sum of every valid span of the document, row = first token,
column = tokens after it. A span that two windows see counts once, with the better of its two sums. The score is a
softmax over that table, so it is a probability over all valid spans of all windows.
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
    """What counts as an answer. max_answer_len in tokens."""

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
    """The best top_k answers, best first; never none: without a valid span it is the empty answer with score 0.

    Shapes: logits are (start, end) for each window, (T,) float32 each.
    Raises: InferenceFailed where a logit is not finite.
    Source: the rule of run_qa's utils_qa.py (start logit + end logit over context tokens, end not before start, at
    most max_answer_len tokens), searched exactly and not among the 20 best starts and ends.
    """
    if not all(np.isfinite(part).all() for pair in logits for part in pair):
        raise InferenceFailed("the model gave a logit that is not a finite number")
    table = span_table(len(document.ids), windows, logits, rules.max_answer_len)
    null = min(float(start[0] + end[0]) for start, end in logits) if rules.handle_impossible_answer else -np.inf
    best = max(float(table.max(initial=-np.inf)), null)
    if best == -np.inf:
        return [Answer("", 0.0, 0, 0)]
    if not np.isfinite(best):
        raise InferenceFailed("the model gave logits whose sum is not a finite number")
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
    """Best start + end logit of each span over all windows, (N, A) float32; -inf where no window holds the span.

    Row i, column k: the span of document tokens i to i + k, inclusive.
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
    """The top_k distinct (start, end) in code points with their logit sums, best first."""
    starts, ends = document.starts, document.ends
    if rules.align_to_words:
        starts, ends = document.word_starts, document.word_ends
    flat = table.ravel()
    found: dict[tuple[int, int], float] = {}
    candidates = rules.top_k
    while True:  # spans that align to the same words are one answer, so top_k candidates may not be enough
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
    """Indices of the largest values, largest first; of equals the first."""
    if count == 1:
        return np.array([values.argmax()])
    chosen = np.argpartition(-values, count - 1)[:count]
    ranked: np.ndarray = chosen[np.lexsort((chosen, -values[chosen]))]
    return ranked
