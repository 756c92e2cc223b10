"""The official exact match and F1 of SQuAD v1.1 and v2.0. Pure functions.

The rules of the two official scripts are written out here, because the libraries that contain them depend on torch or
on a model hub, and split v1.1 and v2.0 into two packages. tests/unit/tools/squad/test_metric.py checks these functions
against the official definition.
"""

from collections.abc import Iterable

from serve.qa.answer_overlap import normalize_answer, overlap, overlap_of_words


def exact_match(answer: str, gold: Iterable[str]) -> float:
    """Return 1.0 if the answer equals a gold answer after normalization, else 0.0; by v1.1's rules."""
    return float(any(normalize_answer(answer) == normalize_answer(one) for one in gold))


def f1(answer: str, gold: Iterable[str]) -> float:
    """Return the best overlap of words with a gold answer, from 0 to 1; by v1.1's rules."""
    return max((overlap_of_words(*_words(answer, one)) for one in gold), default=0)


def exact_match_v2(answer: str, gold: Iterable[str]) -> float:
    """Return the exact match by v2.0's rules: the right answer to a question without gold answers is the empty one."""
    return exact_match(answer, _gold_v2(gold))


def f1_v2(answer: str, gold: Iterable[str]) -> float:
    """Return the F1 by v2.0's rules: as v1.1's, but an answer and a gold answer that both have no words score 1."""
    return max(overlap(answer, one) for one in _gold_v2(gold))


def _gold_v2(gold: Iterable[str]) -> list[str]:
    return [one for one in gold if normalize_answer(one)] or [""]


def _words(answer: str, gold: str) -> tuple[list[str], list[str]]:
    return normalize_answer(answer).split(), normalize_answer(gold).split()
