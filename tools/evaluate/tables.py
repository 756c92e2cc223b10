"""The tables that evaluate prints."""

from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from container.precision import Precision
from tools.evaluate.evaluation import MEASURES, Evaluation

SCORES = ("EM", "F1")
DIFFERENCES = ("EM to FP32", "F1 to FP32", "changed")


def tables(title: str, evaluation: Evaluation) -> list[Table]:
    """Return a table with the scores of each precision.

    For v2.0, a second table separates the questions with an answer from those without, and a third one has the best
    thresholds for "no answer". The last two tables are about scores.
    """
    columns = [*SCORES, *(DIFFERENCES if evaluation.differences else [])]
    result = [_table(title, columns, evaluation, _score_cells)]
    if evaluation.is_v2:
        with_answer = int(evaluation.has_answer.sum())
        title = f"{with_answer} questions with an answer, {len(evaluation.examples) - with_answer} without"
        columns = ["EM with answer", "F1 with answer", "correct without answer"]
        result.append(_table(title, columns, evaluation, _answerable_cells))
        title = "the best thresholds on null logit sum - best span's logit sum"
        columns = ["best EM", "its threshold", "best F1", "its threshold"]
        result.append(_table(title, columns, evaluation, _threshold_cells))
    title = "calibration error of the scores, and the answers of which 90 % and 95 % are right"
    columns = ["error", "interval", "90 %", "from score", "95 %", "from score"]
    result.append(_table(title, columns, evaluation, _coverage_cells))
    return [*result, _reliability_table(evaluation)]


def _table(
    title: str, columns: Sequence[str], evaluation: Evaluation, cells: Callable[[Evaluation, Precision], list[str]]
) -> Table:
    table = Table(title=title, title_justify="left", pad_edge=False)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for precision in evaluation.answers:
        table.add_row(precision, *cells(evaluation, precision))
    return table


def _score_cells(evaluation: Evaluation, precision: Precision) -> list[str]:
    cells = _percent(evaluation.means(precision))
    if difference := evaluation.differences.get(precision):
        cells += [_with_interval(**difference[measure]) for measure in MEASURES]
        cells.append(str(difference["answers_changed"]))
    elif evaluation.differences:
        cells += ["-", "-", "-"]
    return cells


def _answerable_cells(evaluation: Evaluation, precision: Precision) -> list[str]:
    means = evaluation.means(precision)
    with_answer, without = means.get("has_answer"), means.get("no_answer")
    correct = f"{without['exact_match']:.2f}" if without else "-"
    return [*(_percent(with_answer) if with_answer else ["-", "-"]), correct]


def _threshold_cells(evaluation: Evaluation, precision: Precision) -> list[str]:
    found = evaluation.best_thresholds[precision]
    figures = (found.best_exact, found.best_exact_thresh, found.best_f1, found.best_f1_thresh)
    return [f"{figure:.2f}" for figure in figures]


def _coverage_cells(evaluation: Evaluation, precision: Precision) -> list[str]:
    found = evaluation.reliability[precision]
    lower, upper = found.interval_95
    cells = [f"{found.expected_calibration_error:.3f}", f"\\[{lower:.3f}, {upper:.3f}]"]
    for coverage in found.coverage.values():
        cells += [f"{100 * coverage.coverage:.1f} %", f"{coverage.threshold:.4f}"] if coverage else ["none", "-"]
    return cells


def _reliability_table(evaluation: Evaluation) -> Table:
    """Return a table of bins with equally many answers: their mean score, and how many of them are right."""
    table = Table(title="scores by tenths", title_justify="left", pad_edge=False)
    for precision in evaluation.answers:
        table.add_column(f"{precision} score", justify="right")
        table.add_column("right", justify="right")
    bins = [found.bins for found in evaluation.reliability.values()]
    for row in zip(*bins, strict=True):
        table.add_row(*(cell for one in row for cell in (f"{one.score:.3f}", f"{100 * one.right:.1f} %")))
    return table


def _percent(means: Mapping[str, float]) -> list[str]:
    return [f"{means[measure]:.2f}" for measure in MEASURES]


def _with_interval(difference: float, interval_95: Sequence[float]) -> str:
    return f"{difference:+.2f} \\[{interval_95[0]:+.2f}, {interval_95[1]:+.2f}]"
