"""The tables that evaluate prints."""

from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from container.precision import Precision
from tools.evaluate.evaluation import MEASURES, Evaluation

SCORES = ("EM", "F1")
DIFFERENCES = ("EM to FP32", "F1 to FP32", "changed")


def tables(title: str, evaluation: Evaluation) -> list[Table]:
    """Return a table with the scores of each precision.

    For v2.0, a second table separates the questions with an answer from those without.
    """
    columns = [*SCORES, *(DIFFERENCES if evaluation.differences else [])]
    result = [_table(title, columns, evaluation, _score_cells)]
    if evaluation.is_v2:
        with_answer = int(evaluation.has_answer.sum())
        title = f"{with_answer} questions with an answer, {len(evaluation.examples) - with_answer} without"
        columns = ["EM with answer", "F1 with answer", "correct without answer"]
        result.append(_table(title, columns, evaluation, _answerable_cells))
    return result


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


def _percent(means: Mapping[str, float]) -> list[str]:
    return [f"{means[measure]:.2f}" for measure in MEASURES]


def _with_interval(difference: float, interval_95: Sequence[float]) -> str:
    return f"{difference:+.2f} \\[{interval_95[0]:+.2f}, {interval_95[1]:+.2f}]"
