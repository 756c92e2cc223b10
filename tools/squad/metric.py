"""The official exact match and F1 of SQuAD v1.1 and v2.0. Pure.

The two official scripts are written out here: the libraries that carry them bring torch or a model hub along, and have
the rules of v1.1 and v2.0 as two packages. tests/unit/tools/squad/test_metric.py checks them against the definition.
"""

from collections.abc import Iterable

from serve.qa.answer_overlap import normalize_answer, overlap_of_words


def exact_match(answer: str, gold: Iterable[str]) -> float:
    """v1.1: 1.0 where the answer equals a gold answer after normalisation, else 0.0."""
    return float(any(normalize_answer(answer) == normalize_answer(one) for one in gold))


def f1(answer: str, gold: Iterable[str]) -> float:
    """v1.1: the best overlap of words with a gold answer, 0 to 1."""
    return max((overlap_of_words(*_words(answer, one)) for one in gold), default=0)


def exact_match_v2(answer: str, gold: Iterable[str]) -> float:
    """v2.0: as v1.1, but a question without gold answers wants the empty one."""
    return exact_match(answer, _gold_v2(gold))


def f1_v2(answer: str, gold: Iterable[str]) -> float:
    """v2.0: as v1.1, but where answer or gold has no words they agree fully or not at all."""
    return max(
        overlap_of_words(ours, theirs) if ours and theirs else float(ours == theirs)
        for ours, theirs in (_words(answer, one) for one in _gold_v2(gold))
    )


def _gold_v2(gold: Iterable[str]) -> list[str]:
    return [one for one in gold if normalize_answer(one)] or [""]


def _words(answer: str, gold: str) -> tuple[list[str], list[str]]:
    return normalize_answer(answer).split(), normalize_answer(gold).split()
