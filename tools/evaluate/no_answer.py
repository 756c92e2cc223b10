"""The threshold for "no answer" that gives the best score on a file of questions with and without an answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tools.answers.source import Reply
from tools.squad.accuracy import score_answers
from tools.squad.examples import Example


@dataclass(frozen=True)
class BestThresholds:
    """The best scores in percent, and the thresholds on the null difference that give them, under the official names.

    A question whose null difference exceeds the threshold has the answer "".
    """

    best_exact: float
    best_exact_thresh: float
    best_f1: float
    best_f1_thresh: float


def best_thresholds(examples: Sequence[Example], replies: Sequence[Reply]) -> BestThresholds:
    """Find the thresholds as SQuAD's evaluate-v2.0.py does from the null odds of a model.

    replies: with the best span and the null difference of each question. A question without a null difference has the
    answer "" whatever the threshold is.

    Source: find_best_thresh of evaluate-v2.0.py. Where no threshold is better than "" for every question, that script
    says 0. Here the threshold is then at most just below the smallest null difference, because 0 might not give that
    score.
    """
    has_answer = np.array([bool(example.answers) for example in examples])
    spans = [reply.best_span for reply in replies]
    lost = np.array([-1.0 if span else 0.0 for span in spans])  # by a span where "" is right
    differences = np.array([np.inf if reply.null_difference is None else reply.null_difference for reply in replies])
    scores = score_answers(examples, spans, is_v2=True)  # (N, 2)
    (exact, exact_thresh), (f1, f1_thresh) = (
        _best(np.where(has_answer, scores[:, column] / 100, lost), differences) for column in (0, 1)
    )
    without, questions = int((~has_answer).sum()), len(examples)
    return BestThresholds(
        100 * (without + exact) / questions, exact_thresh, 100 * (without + f1) / questions, f1_thresh
    )


def _best(gains: np.ndarray, differences: np.ndarray) -> tuple[float, float]:
    """Return the largest sum of gains and its threshold.

    gains: (N,) what the score gains if the question gets its span instead of "". differences: (N,) float64.
    """
    order = np.argsort(differences, kind="stable")
    sums = np.cumsum(gains[order])
    best = int(sums.argmax())
    if sums[best] > 0 and np.isfinite(differences[order[best]]):
        return float(sums[best]), float(differences[order[best]])
    return 0.0, min(0.0, float(np.nextafter(differences[order[0]], -np.inf)))
