"""Finds the best spans in a part of the table of all spans (serve/qa/spans.py). Pure numpy."""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from serve.qa.document import Document

Candidate = tuple[float, tuple[int, int]]  # the sum of two logits, and the span that has it, in code points

WORD_ROWS = 256  # rows whose spans are grouped by words at a time


def best_spans(
    document: Document, first_row: int, rows: np.ndarray, top_k: int, align_to_words: bool
) -> list[Candidate]:
    """Return the top_k distinct spans of some rows of the table, best first; of equal ones, that which begins first.

    rows: (R, A) float32. Row i and column k stand for the span of document tokens first_row + i to first_row + i + k,
    inclusive; -inf if no window holds the span.
    """
    tokens = document.part(first_row, first_row + len(rows) + rows.shape[1] - 1)
    starts, ends = tokens.starts, tokens.ends
    if align_to_words:
        starts, ends = tokens.word_starts, tokens.word_ends
    flat = rows.ravel()
    found: dict[tuple[int, int], float] = {}
    candidates = min(4 * top_k if top_k > 1 else 1, flat.size)
    for index in _largest(flat, candidates):
        if flat[index] == -np.inf:  # no window holds it
            break
        row, length = divmod(int(index), rows.shape[1])
        found.setdefault((int(starts[row]), int(ends[row + length])), float(flat[index]))
    if len(found) >= top_k or candidates == flat.size:
        return [(logit, span) for span, logit in found.items()][:top_k]
    # Many spans of tokens are the same span of words, or of characters: look at each of those once.
    best: list[Candidate] = []
    for first in range(0, len(rows), WORD_ROWS):
        part = rows[first : first + WORD_ROWS]
        best = merge(best, _best_distinct(starts, ends, first, part, top_k), top_k)
    return best


def _best_distinct(
    starts: np.ndarray, ends: np.ndarray, first_row: int, rows: np.ndarray, top_k: int
) -> list[Candidate]:
    """Return the top_k spans of a few rows, with the best logit of the tokens' spans that begin and end alike."""
    height, columns = rows.shape
    width = height + columns - 1
    # In `square`, a column stands for the last token of a span, no longer for the length of the span.
    square = np.full((height, width), -np.inf, dtype=np.float32)
    as_strided(square, (height, columns), (square.strides[0] + square.itemsize, square.itemsize))[:] = rows
    square = square[:, : len(ends) - first_row]
    row_bounds = _first_of_equals(starts[first_row : first_row + height])
    column_bounds = _first_of_equals(ends[first_row : first_row + square.shape[1]])
    square = np.maximum.reduceat(square, row_bounds, axis=0)
    square = np.maximum.reduceat(square, column_bounds, axis=1)
    flat = square.ravel()
    found: list[Candidate] = []
    for index in _largest(flat, min(top_k, flat.size)):
        if flat[index] == -np.inf:
            break
        row, column = divmod(int(index), square.shape[1])
        span = int(starts[first_row + row_bounds[row]]), int(ends[first_row + column_bounds[column]])
        found.append((float(flat[index]), span))
    return found


def leave_out_blanks(document: Document, first_row: int, rows: np.ndarray) -> None:
    """Take the spans of nothing but white space out of some rows of the table. rows: as in best_spans."""
    height, columns = rows.shape
    tokens = document.part(first_row, first_row + height + columns - 1)
    height = min(height, len(tokens.starts))
    ends = np.concatenate((tokens.ends, np.zeros(columns, dtype=np.int32)))
    ends_of_spans = as_strided(ends, (height, columns), 2 * ends.strides)
    rows[:height][ends_of_spans <= tokens.starts[:height, None]] = -np.inf


def _first_of_equals(values: np.ndarray) -> np.ndarray:
    """Return the indices at which a value differs from the one before it, with 0."""
    return np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1))


def merge(found: list[Candidate], others: list[Candidate], top_k: int) -> list[Candidate]:
    """Return the best top_k distinct spans of both lists, best first; of equal ones, that of the first list first."""
    distinct: dict[tuple[int, int], float] = {}
    for logit, span in sorted([*found, *others], key=lambda candidate: -candidate[0]):
        distinct.setdefault(span, logit)
    return [(logit, span) for span, logit in distinct.items()][:top_k]


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the largest values, largest first; of equal values, the one with the lowest index.

    A value of -inf is left out, unless count is 1.
    """
    if count == 1:
        return np.array([values.argmax()])
    least = np.partition(values, len(values) - count)[len(values) - count]
    # All that equal the least are looked at: which of them a partition puts first depends on the CPU.
    chosen = np.flatnonzero((values >= least) & (values > -np.inf))
    ranked: np.ndarray = chosen[np.argsort(-values[chosen], kind="stable")[:count]]
    return ranked
