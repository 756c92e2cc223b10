"""Fit the calibration of an artifact's scores on the questions of a file, and store it in the manifest."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from container.precision import Precision
from model_loader import manifest
from model_loader.errors import ModelLoadError
from serve.qa.ranking.calibration import Calibration
from tools.answers.artifact import ArtifactSource
from tools.errors import ToolError
from tools.evaluate.questions import QuestionSet
from tools.squad.accuracy import score_answers
from tools.squad.reliability import calibration_error

# Each is a fifth above the one before it, from 0.28 to 4.3; one of them is 1. Steps of a tenth gave no smaller errors.
TEMPERATURES = tuple(round(1.2**step, 4) for step in range(-7, 9))
# The likelihood is flat near its maximum, so that a few questions decide where it is. Therefore the logarithm of the
# temperature has a normal prior around 0 with this standard deviation, which matters less the more questions there are.
PRIOR_WIDTH = 0.12
SHIFTS = (-20.0, 20.0)
MIN_QUESTIONS = 100
CLOSEST_TO_CERTAIN = 1e-12


def calibrate(model_dir: Path, source: ArtifactSource, questions: QuestionSet, console: Console) -> str:
    """Run the fastest precision on all questions, fit, and store the result. Return a line about it.

    The model runs again, because the fit needs the score of each best candidate at each temperature.

    Raises: ToolError.
    """
    precision = source.precisions[0]
    rows = list(
        track(
            source.best_candidates(precision, questions.examples, questions.rules, TEMPERATURES),
            f"{precision} at {len(TEMPERATURES)} temperatures",
            total=len(questions.examples),
            console=console,
            transient=True,
        )
    )
    answers, scores = [text for text, _ in rows], np.array([each for _, each in rows])  # (N, temperatures)
    is_right = score_answers(questions.examples, answers, is_v2=questions.is_v2)[:, 0] > 0  # exact matches
    fitted = fit(scores, is_right)
    before, after = scores[:, TEMPERATURES.index(1)], calibrated(scores, fitted)
    errors = calibration_error(before, is_right), calibration_error(after, is_right)
    _store(model_dir, fitted, questions, precision, errors)
    return (
        f"temperature is {fitted.temperature:g} and log_odds_shift {fitted.log_odds_shift:.3f} in {model_dir} now: on "
        f"these questions, the expected calibration error of {precision} goes from {errors[0]:.3f} to {errors[1]:.3f}. "
        "The scores and thresholds above are those without it. To see those that count from the server's next start "
        "on, run evaluate on other questions, without --calibrate"
    )


def fit(scores: np.ndarray, is_right: np.ndarray) -> Calibration:
    """Return the calibration under which the answers are likeliest to be right or wrong as they are.

    Shapes: scores (N, T), of each best candidate at each of TEMPERATURES; is_right (N,) bool.
    Raises: ToolError if there are too few questions, or if all answers are right or all are wrong.
    Source: Guo et al., On calibration of modern neural networks (2017), for the temperature; Platt (1999) for the
    shift, whose slope is 1 here because the temperature takes its place. The temperature has a prior (PRIOR_WIDTH).
    """
    if is_right.all() or not is_right.any():
        raise ToolError("--calibrate needs right and wrong answers, and all answers are alike")
    log_odds = _log_odds(scores)
    shifts = [_fit_shift(column, is_right) for column in log_odds.T]
    shifted = log_odds + np.array(shifts)  # (N, T)
    losses = np.logaddexp(0, np.where(is_right[:, None], -shifted, shifted))  # negative log likelihoods, (N, T)
    prior = (np.log(TEMPERATURES) / PRIOR_WIDTH) ** 2 / 2  # negative log density, (T,)
    chosen = int((losses.sum(axis=0) + prior).argmin())
    return Calibration(TEMPERATURES[chosen], shifts[chosen])


def _fit_shift(log_odds: np.ndarray, is_right: np.ndarray) -> float:
    """Return the shift with the largest likelihood: there, the mean probability equals the share of right answers."""
    low, high = SHIFTS
    for _ in range(50):
        middle = (low + high) / 2
        if _probability(log_odds + middle).mean() < is_right.mean():
            low = middle
        else:
            high = middle
    return low


def calibrated(scores: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Return the scores of the best candidates under a calibration, (N,). scores: (N, T), as in `fit`."""
    column = TEMPERATURES.index(calibration.temperature)
    return _probability(_log_odds(scores[:, column]) + calibration.log_odds_shift)


def _log_odds(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores, CLOSEST_TO_CERTAIN, 1 - CLOSEST_TO_CERTAIN)
    odds: np.ndarray = np.log(clipped) - np.log1p(-clipped)
    return odds


def _probability(log_odds: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(-np.logaddexp(0, -log_odds))
    return found


def _store(
    model_dir: Path, fitted: Calibration, questions: QuestionSet, precision: Precision, errors: tuple[float, float]
) -> None:
    figures = manifest.ScoreCalibration(
        log_odds_shift=fitted.log_odds_shift,
        data=questions.name,
        data_sha256=questions.digest,
        questions=len(questions.examples),
        precision=precision,
        error_before=errors[0],
        error_after=errors[1],
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        manifest.update(model_dir, {"temperature": fitted.temperature, "calibration": figures.model_dump()})
    except ModelLoadError as error:
        raise ToolError(str(error)) from None
