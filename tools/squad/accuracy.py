"""Exact match and F1 over many questions, and the confidence interval of a difference. Pure numpy."""

from collections.abc import Sequence

import numpy as np

from tools.squad.examples import Example
from tools.squad.metric import exact_match, exact_match_v2, f1, f1_v2
from tools.squad.rules import is_v2

RESAMPLES = 10_000
SEED = 0
CONFIDENCE = 0.95
DRAWN_AT_ONCE = 2_000_000  # indices, which take 16 MB


def score_answers(examples: Sequence[Example], answers: Sequence[str], *, is_v2: bool) -> np.ndarray:
    """Return exact match and F1 of each question in percent, (N, 2), by the rules of v2.0 or of v1.1."""
    em, overlap = (exact_match_v2, f1_v2) if is_v2 else (exact_match, f1)
    pairs = zip(examples, answers, strict=True)
    return 100 * np.array([(em(answer, one.answers), overlap(answer, one.answers)) for one, answer in pairs])


def accuracy(examples: Sequence[Example], answers: Sequence[str]) -> dict[str, float]:
    """Return the mean exact match and F1 in percent, and the number of questions.

    The rules are those of v2.0 if a question has no answer, else those of v1.1.
    """
    return mean_scores(score_answers(examples, answers, is_v2=is_v2(examples)))


def mean_scores(scores: np.ndarray) -> dict[str, float]:
    """Return the means of scores, (N, 2), under the names that the manifest and the reports use."""
    em, overlap = scores.mean(axis=0).tolist()
    return {"exact_match": em, "f1": overlap, "questions": len(scores)}


def paired_interval(ours: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the 95 % bootstrap interval of the mean difference of each column.

    Shapes: ours and reference are scores of the same questions, (N, K). The result is (2, K): lower and upper bounds.

    The bootstrap is paired: each resample draws questions, and takes both scores of each. Some questions are hard for
    both precisions, and pairing removes this common spread. Two independent draws would make the interval several times
    as wide, which would hide the small differences that quantization makes.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, percentile interval. The seed is fixed, so the same
    scores give the same interval.
    """
    difference = ours - reference
    number = len(difference)
    drawn = np.random.default_rng(SEED)
    at_once = max(1, DRAWN_AT_ONCE // number)
    found = []
    for begin in range(0, RESAMPLES, at_once):
        chosen = drawn.integers(0, number, (min(at_once, RESAMPLES - begin), number))
        found.append(difference[chosen].mean(axis=1))
    tail = (1 - CONFIDENCE) / 2
    interval: np.ndarray = np.quantile(np.concatenate(found), (tail, 1 - tail), axis=0)
    return interval
