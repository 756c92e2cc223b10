"""Exact match and F1 of many answers, and how sure a difference between two precisions is. Pure numpy."""

from collections.abc import Sequence

import numpy as np

from tools.squad.examples import Example
from tools.squad.metric import exact_match, exact_match_v2, f1, f1_v2

RESAMPLES = 10_000
SEED = 0
CONFIDENCE = 0.95
DRAWN_AT_ONCE = 2_000_000  # indices: 16 MB


def scores(examples: Sequence[Example], answers: Sequence[str], *, is_v2: bool) -> np.ndarray:
    """Each question's exact match and F1 in percent, (N, 2), by v1.1's rules or v2.0's."""
    em, overlap = (exact_match_v2, f1_v2) if is_v2 else (exact_match, f1)
    pairs = zip(examples, answers, strict=True)
    return 100 * np.array([(em(answer, one.answers), overlap(answer, one.answers)) for one, answer in pairs])


def accuracy(examples: Sequence[Example], answers: Sequence[str]) -> dict[str, float]:
    """SQuAD v1.1's exact match and F1 in percent, and the number of questions."""
    return means(scores(examples, answers, is_v2=False))


def means(of: np.ndarray) -> dict[str, float]:
    """Means of scores (N, 2), under the names that manifest and reports use."""
    em, overlap = of.mean(axis=0).tolist()
    return {"exact_match": em, "f1": overlap, "questions": len(of)}


def paired_interval(ours: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The 95 % bootstrap interval of the mean difference of each column: (2, K), lower and upper, of scores (N, K).

    Paired: both answered the same questions, and most of the spread between questions (easy, hard) is common to both.
    So each resample draws questions, and takes both scores of each; drawn apart, the intervals would be several times
    as wide and hide the small differences that quantization makes.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, percentile interval; seeded, so it repeats.
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
