"""How often answers of a given score are right: bins, calibration error, and coverage at a precision. Pure numpy."""

from dataclasses import dataclass

import numpy as np

BINS = 10  # of equal count
RESAMPLES = 1_000
SEED = 0
CONFIDENCE = 0.95
PRECISIONS = (0.90, 0.95)  # of the answers above a threshold, for which the coverage is reported


@dataclass(frozen=True)
class Bin:
    """Questions whose answers have neighbouring scores. lowest, highest, score: of the answers; right: their share."""

    questions: int
    lowest: float
    highest: float
    score: float
    right: float


@dataclass(frozen=True)
class Coverage:
    """The answers with a score of at least `threshold`: their share of all, and the share of them that is right."""

    precision: float
    threshold: float
    coverage: float


@dataclass(frozen=True)
class Reliability:
    """What scores say about answers.

    Attributes:
        questions: the number of questions.
        right: the share of right answers.
        expected_calibration_error: the mean difference of a bin's score and its share of right answers.
        interval_95: its bootstrap interval.
        bins: of equal count, lowest scores first.
        coverage: by the precision that was asked for, such as "0.9"; None if no threshold gives it.
    """

    questions: int
    right: float
    expected_calibration_error: float
    interval_95: tuple[float, float]
    bins: tuple[Bin, ...]
    coverage: dict[str, Coverage | None]


def reliability(scores: np.ndarray, is_right: np.ndarray) -> Reliability:
    """Compare the scores of answers, (N,) 0 to 1, with whether they are right, (N,) bool."""
    order = np.argsort(scores, kind="stable")
    bins = tuple(
        Bin(
            len(part),
            float(scores[part[0]]),
            float(scores[part[-1]]),
            float(scores[part].mean()),
            float(is_right[part].mean()),
        )
        for part in np.array_split(order, min(BINS, len(order)))
    )
    return Reliability(
        len(scores),
        float(is_right.mean()),
        calibration_error(scores, is_right),
        _interval(scores, is_right),
        bins,
        {str(precision): coverage_at(scores, is_right, precision) for precision in PRECISIONS},
    )


def calibration_error(scores: np.ndarray, is_right: np.ndarray) -> float:
    """Return the expected calibration error with 10 bins of equal count, 0 to 1.

    Shapes: scores (N,) or (R, N), is_right alike; the result is the mean over R.
    Source: Nguyen and O'Connor, Posterior calibration and exploratory analysis for NLP models (2015), for the bins.
    """
    return float(_errors(np.atleast_2d(scores), np.atleast_2d(is_right)).mean())


def _errors(scores: np.ndarray, is_right: np.ndarray) -> np.ndarray:
    """Return the calibration error of each row, (R,)."""
    order = np.argsort(scores, axis=1, kind="stable")
    gaps = np.take_along_axis(scores - is_right, order, axis=1)  # (R, N)
    parts = np.array_split(gaps, min(BINS, gaps.shape[1]), axis=1)
    errors: np.ndarray = np.stack([np.abs(part.sum(axis=1)) for part in parts]).sum(axis=0) / gaps.shape[1]
    return errors


def _interval(scores: np.ndarray, is_right: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval of the calibration error over questions drawn with replacement.

    The draws are noisier than the questions, so the interval lies a little too high.
    """
    drawn = np.random.default_rng(SEED)
    number = len(scores)
    at_once = max(1, 1_000_000 // number)  # of the resamples; a million indices take 8 MB
    found = []
    for begin in range(0, RESAMPLES, at_once):
        chosen = drawn.integers(0, number, (min(at_once, RESAMPLES - begin), number))
        found.append(_errors(scores[chosen], is_right[chosen]))
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(np.concatenate(found), (tail, 1 - tail)).tolist()
    return lower, upper


def coverage_at(scores: np.ndarray, is_right: np.ndarray, precision: float) -> Coverage | None:
    """Return the lowest threshold above which at least this share of the answers is right, if there is one."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    found = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    is_last = np.append(ranked[1:] != ranked[:-1], True)  # of answers with equal scores, which no threshold separates
    places = np.flatnonzero(is_last & (found >= precision))
    if not len(places):
        return None
    last = int(places[-1])
    return Coverage(float(found[last]), float(ranked[last]), (last + 1) / len(order))
