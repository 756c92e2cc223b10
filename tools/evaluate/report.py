"""What evaluate found: the table, the JSON report, and the list of questions whose answer changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from rich.table import Table

from container.precision import Precision
from tools.squad.accuracy import means, paired_interval, scores
from tools.squad.examples import Example

REFERENCE: Precision = "FP32"
MEASURES = ("exact_match", "f1")  # the columns of scores
MEASURE_NAMES = ("EM", "F1")
COMPARED = ("EM to FP32", "F1 to FP32", "changed")


@dataclass(frozen=True)
class Evaluation:
    """The answers of each precision to the same questions. is_v2: scored by SQuAD v2.0's rules, else by v1.1's."""

    examples: Sequence[Example]
    answers: Mapping[Precision, Sequence[str]]
    is_v2: bool

    @cached_property
    def scores(self) -> dict[Precision, np.ndarray]:
        """Exact match and F1 of each question in percent, (N, 2)."""
        return {p: scores(self.examples, answers, is_v2=self.is_v2) for p, answers in self.answers.items()}

    @cached_property
    def has_answer(self) -> np.ndarray:
        """Which questions have a gold answer, (N,) bool."""
        return np.array([bool(example.answers) for example in self.examples])

    @cached_property
    def changed(self) -> dict[Precision, np.ndarray]:
        """Which answers are another text than FP32's, (N,) bool; empty without FP32."""
        if REFERENCE not in self.answers:
            return {}
        reference = np.array(self.answers[REFERENCE], dtype=object)
        return {
            precision: np.array(answers, dtype=object) != reference
            for precision, answers in self.answers.items()
            if precision != REFERENCE
        }

    def means(self, precision: Precision) -> dict[str, Any]:
        """In percent: over all questions and, in v2.0, over those with and those without an answer."""
        of = self.scores[precision]
        found: dict[str, Any] = means(of)
        if self.is_v2:
            for name, chosen in (("has_answer", self.has_answer), ("no_answer", ~self.has_answer)):
                if chosen.any():
                    found[name] = means(of[chosen])
        return found

    @cached_property
    def differences(self) -> dict[Precision, dict[str, Any]]:
        """To FP32, in points, with the 95 % interval."""
        found: dict[Precision, dict[str, Any]] = {}
        for precision, changed in self.changed.items():
            ours, reference = self.scores[precision], self.scores[REFERENCE]
            lower, upper = paired_interval(ours, reference).tolist()
            mean = (ours - reference).mean(axis=0).tolist()
            found[precision] = {"answers_changed": int(changed.sum())}
            for column, measure in enumerate(MEASURES):
                interval = [lower[column], upper[column]]
                found[precision][measure] = {"difference": mean[column], "interval_95": interval}
        return found

    def as_json(self) -> dict[str, Any]:
        """Scores, differences, and every answer by its question's id."""
        ids = [example.id for example in self.examples]
        return {
            "scores": {precision: self.means(precision) for precision in self.answers},
            "difference_to_fp32": self.differences,
            "answers": {p: dict(zip(ids, answers, strict=True)) for p, answers in self.answers.items()},
        }


def changed_questions(of: Evaluation) -> list[dict[str, Any]]:
    """The questions that a precision answers otherwise than FP32, those that lose most F1 first."""
    found = []
    for row, example in enumerate(of.examples):
        if not any(changed[row] for changed in of.changed.values()):
            continue
        measures = {
            measure: {precision: round(float(of.scores[precision][row, column]), 2) for precision in of.answers}
            for column, measure in enumerate(MEASURES)
        }
        answers = {precision: of.answers[precision][row] for precision in of.answers}
        gold = list(dict.fromkeys(example.answers))
        found.append({"id": example.id, "question": example.question, "gold": gold, "answers": answers, **measures})
    return sorted(found, key=_f1_gained)


def _f1_gained(question: Mapping[str, Any]) -> float:
    f1: Mapping[Precision, float] = question["f1"]
    return min(score - f1[REFERENCE] for precision, score in f1.items() if precision != REFERENCE)


def tables(title: str, of: Evaluation) -> list[Table]:
    """A row for each precision, FP32 first, as the article has them; for v2.0 a second one of its two kinds."""
    made = [_table(title, [*MEASURE_NAMES, *(COMPARED if of.differences else [])], of, _cells)]
    if of.is_v2:
        with_answer = int(of.has_answer.sum())
        kinds = f"{with_answer} questions with an answer, {len(of.examples) - with_answer} without"
        made.append(_table(kinds, ["EM with", "F1 with", "right without"], of, _cells_of_kinds))
    return made


def _table(
    title: str, columns: Sequence[str], of: Evaluation, cells: Callable[[Evaluation, Precision], list[str]]
) -> Table:
    made = Table(title=title, title_justify="left", pad_edge=False)
    made.add_column("")
    for column in columns:
        made.add_column(column, justify="right")
    for precision in of.answers:
        made.add_row(precision, *cells(of, precision))
    return made


def _cells(of: Evaluation, precision: Precision) -> list[str]:
    cells = _percent(of.means(precision))
    if difference := of.differences.get(precision):
        cells += [_with_interval(**difference[measure]) for measure in MEASURES]
        cells.append(str(difference["answers_changed"]))
    elif of.differences:
        cells += ["-", "-", "-"]
    return cells


def _cells_of_kinds(of: Evaluation, precision: Precision) -> list[str]:
    means = of.means(precision)
    with_answer, without = means.get("has_answer"), means.get("no_answer")
    right = f"{without['exact_match']:.2f}" if without else "-"
    return [*(_percent(with_answer) if with_answer else ["-", "-"]), right]


def _percent(means: Mapping[str, float]) -> list[str]:
    return [f"{means[measure]:.2f}" for measure in MEASURES]


def _with_interval(difference: float, interval_95: Sequence[float]) -> str:
    return f"{difference:+.2f} \\[{interval_95[0]:+.2f}, {interval_95[1]:+.2f}]"
