"""Each source has journals of its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from container.precision import Precision
from serve.qa.spans import SpanRules
from tools.answers.source import NO_REPLY, Reply
from tools.evaluate.asking import open_journals
from tools.evaluate.questions import read_questions_alone
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit


class Unknown:
    """A source of which nobody knows whether it will give the same answers again."""

    precisions: Sequence[Precision] = ("FP32",)

    def __init__(self) -> None:
        self.question_limit = QuestionLimit(64)

    def info(self) -> Mapping[str, Any]:
        return {}

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        return None

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        return iter([NO_REPLY] * len(examples))


class Another(Unknown):
    """A source of another kind, such as the pipeline of a checkpoint on the hub, beside an endpoint."""


def test_two_kinds_of_sources_of_unknown_identity_have_a_journal_each(tmp_path: Path) -> None:
    data = tmp_path / "questions.jsonl"
    data.write_text(json.dumps({"question": "Who?", "context": "Ada did."}) + "\n")
    questions = read_questions_alone(str(data), None, 30)
    with open_journals(tmp_path, Unknown(), questions) as one, open_journals(tmp_path, Another(), questions) as other:
        assert one["FP32"].path != other["FP32"].path
