"""How far the answers of each precision agree with the answers of a reference to the same questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from container.precision import Precision
from serve.qa.answer_overlap import normalize_answer, overlap
from tools.answers.source import Reply
from tools.squad.examples import Example


@dataclass(frozen=True)
class Agreement:
    """The answers of each precision beside those of the reference, in the order of the questions."""

    examples: Sequence[Example]
    reference: Sequence[Reply]
    replies: Mapping[Precision, Sequence[Reply]]

    @cached_property
    def overlaps(self) -> dict[Precision, np.ndarray]:
        """The F1 between the words of each answer and those of the reference, from 0 to 1, (N,)."""
        return {
            precision: np.array([overlap(ours.answer, theirs.answer) for ours, theirs in self._pairs(precision)])
            for precision in self.replies
        }

    def summary(self, precision: Precision) -> dict[str, Any]:
        """Return how many answers are the same, how many have the same words, and the mean overlap in percent.

        Words are compared as SQuAD's scripts do, without case, punctuation and articles.
        """
        pairs = self._pairs(precision)
        same = sum(ours.answer == theirs.answer for ours, theirs in pairs)
        same_words = sum(normalize_answer(ours.answer) == normalize_answer(theirs.answer) for ours, theirs in pairs)
        return {
            "questions": len(pairs),
            "same_answer": same,
            "same_words": same_words,
            "answers_changed": len(pairs) - same,
            "mean_overlap": 100 * float(self.overlaps[precision].mean()),
        }

    def changed(self) -> list[dict[str, Any]]:
        """Return the questions whose answer differs in any precision, the smallest overlap first."""
        questions = []
        for row, example in enumerate(self.examples):
            reference = self.reference[row]
            replies = {precision: replies[row] for precision, replies in self.replies.items()}
            if all(reply.answer == reference.answer for reply in replies.values()):
                continue
            questions.append(
                {
                    "id": example.id,
                    "question": example.question,
                    "pipeline": reference.answer,
                    "answers": {precision: reply.answer for precision, reply in replies.items()},
                    "pipeline_score": round(reference.score, 4),
                    "scores": {precision: round(reply.score, 4) for precision, reply in replies.items()},
                    "overlap": {precision: round(float(self.overlaps[precision][row]), 4) for precision in replies},
                }
            )
        return sorted(questions, key=_smallest_overlap)

    def as_json(self) -> dict[str, Any]:
        """Return the summaries, and every answer by the id of its question."""
        ids = [example.id for example in self.examples]
        return {
            "agreement": {precision: self.summary(precision) for precision in self.replies},
            "pipeline_answers": dict(zip(ids, (reply.answer for reply in self.reference), strict=True)),
            "answers": {
                precision: dict(zip(ids, (reply.answer for reply in replies), strict=True))
                for precision, replies in self.replies.items()
            },
        }

    def _pairs(self, precision: Precision) -> list[tuple[Reply, Reply]]:
        return list(zip(self.replies[precision], self.reference, strict=True))


def _smallest_overlap(question: Mapping[str, Any]) -> float:
    overlaps: Mapping[Precision, float] = question["overlap"]
    return min(overlaps.values())
