"""How many questions of a file are used, and why the others are left out."""

from dataclasses import dataclass, field


@dataclass
class QuestionTally:
    """Counts the questions of one file.

    Attributes:
        name: the name of the file.
        questions: how many questions were read.
        left_out: for each reason, the ids of the questions that are left out for it.
    """

    name: str
    questions: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, question_id: str, reason: str) -> None:
        """Count a question that is not used. reason: completes "..., because"."""
        self.left_out.setdefault(reason, []).append(question_id)

    def notes(self) -> list[str]:
        """Return one line for each reason."""
        return [
            f"{self.name}: {len(ids):,} of {counted(self.questions, 'question')} "
            f"{'is' if len(ids) == 1 else 'are'} left out, because {reason}; the first one is {ids[0]}"
            for reason, ids in self.left_out.items()
        ]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 step" or "2,000 steps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
