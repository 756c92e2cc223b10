"""Scores of each precision, the differences of INT8 and BF16 from FP32, and the questions whose answer changed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from container.precision import Precision
from tools.answers.source import Reply
from tools.evaluate.no_answer import BestThresholds, best_thresholds
from tools.squad.accuracy import mean_scores, paired_interval, score_answers
from tools.squad.examples import Example
from tools.squad.reliability import Reliability, reliability

REFERENCE: Precision = "FP32"
MEASURES = ("exact_match", "f1")  # the columns of scores


@dataclass(frozen=True)
class Evaluation:
    """The answers of each precision to the same questions.

    Attributes:
        examples: the questions.
        replies: the replies of each precision, in the order of the questions.
        is_v2: whether they are scored by SQuAD v2.0's rules instead of v1.1's.
    """

    examples: Sequence[Example]
    replies: Mapping[Precision, Sequence[Reply]]
    is_v2: bool

    @cached_property
    def answers(self) -> dict[Precision, list[str]]:
        """The answers of each precision, in the order of the questions."""
        return {precision: [reply.answer for reply in replies] for precision, replies in self.replies.items()}

    @cached_property
    def scores(self) -> dict[Precision, np.ndarray]:
        """Exact match and F1 of each question in percent, (N, 2)."""
        return {p: score_answers(self.examples, answers, is_v2=self.is_v2) for p, answers in self.answers.items()}

    @cached_property
    def has_answer(self) -> np.ndarray:
        """Whether each question has a gold answer, (N,) bool."""
        return np.array([bool(example.answers) for example in self.examples])

    @cached_property
    def changed(self) -> dict[Precision, np.ndarray]:
        """Whether each answer differs from FP32's answer, (N,) bool; empty if FP32 was not asked."""
        if REFERENCE not in self.answers:
            return {}
        reference = np.array(self.answers[REFERENCE], dtype=object)
        return {
            precision: np.array(answers, dtype=object) != reference
            for precision, answers in self.answers.items()
            if precision != REFERENCE
        }

    @cached_property
    def best_thresholds(self) -> dict[Precision, BestThresholds]:
        """The thresholds on the null difference that give the best scores; empty for v1.1."""
        if not self.is_v2:
            return {}
        return {precision: best_thresholds(self.examples, replies) for precision, replies in self.replies.items()}

    @cached_property
    def reliability(self) -> dict[Precision, Reliability]:
        """What the scores of answers say about them. An answer is right if it matches a gold answer exactly."""
        return {
            precision: reliability(np.array([reply.score for reply in replies]), self.scores[precision][:, 0] > 0)
            for precision, replies in self.replies.items()
        }

    def means(self, precision: Precision) -> dict[str, Any]:
        """Return the mean scores in percent; in v2.0 also those over the questions with and without an answer."""
        scores = self.scores[precision]
        means: dict[str, Any] = mean_scores(scores)
        if self.is_v2:
            for name, chosen in (("has_answer", self.has_answer), ("no_answer", ~self.has_answer)):
                if chosen.any():
                    means[name] = mean_scores(scores[chosen])
        return means

    @cached_property
    def differences(self) -> dict[Precision, dict[str, Any]]:
        """The difference of each precision from FP32 in points, with its 95 % interval."""
        differences: dict[Precision, dict[str, Any]] = {}
        for precision, changed in self.changed.items():
            ours, reference = self.scores[precision], self.scores[REFERENCE]
            lower, upper = paired_interval(ours, reference).tolist()
            mean = (ours - reference).mean(axis=0).tolist()
            differences[precision] = {"answers_changed": int(changed.sum())}
            for column, measure in enumerate(MEASURES):
                interval = [lower[column], upper[column]]
                differences[precision][measure] = {"difference": mean[column], "interval_95": interval}
        return differences

    def as_json(self) -> dict[str, Any]:
        """Return scores, differences, and every answer by the id of its question."""
        ids = [example.id for example in self.examples]
        return {
            "scores": {precision: self.means(precision) for precision in self.answers},
            "best_no_answer_thresholds": {p: asdict(found) for p, found in self.best_thresholds.items()},
            "reliability": {precision: asdict(found) for precision, found in self.reliability.items()},
            "difference_to_fp32": self.differences,
            "answers": {p: dict(zip(ids, answers, strict=True)) for p, answers in self.answers.items()},
            "answer_scores": {
                precision: dict(zip(ids, (reply.score for reply in replies), strict=True))
                for precision, replies in self.replies.items()
            },
        }

    def changed_questions(self) -> list[dict[str, Any]]:
        """Return the questions whose answer differs from FP32's in any precision, the largest loss of F1 first."""
        questions = []
        for row, example in enumerate(self.examples):
            if not any(changed[row] for changed in self.changed.values()):
                continue
            scores = {
                measure: {precision: round(float(self.scores[precision][row, column]), 2) for precision in self.answers}
                for column, measure in enumerate(MEASURES)
            }
            answers = {precision: self.answers[precision][row] for precision in self.answers}
            gold = list(dict.fromkeys(example.answers))
            questions.append(
                {"id": example.id, "question": example.question, "gold": gold, "answers": answers, **scores}
            )
        return sorted(questions, key=_f1_gained)


def _f1_gained(question: Mapping[str, Any]) -> float:
    f1: Mapping[Precision, float] = question["f1"]
    return min(score - f1[REFERENCE] for precision, score in f1.items() if precision != REFERENCE)
