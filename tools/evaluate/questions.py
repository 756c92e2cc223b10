"""The questions of an evaluation, and the rules by which they are asked and scored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from serve.qa.spans import SpanRules
from tools.errors import ToolError
from tools.squad import question_file
from tools.squad.examples import Example, read_examples
from tools.squad.rules import EVALUATION_RULES, is_v2


@dataclass(frozen=True)
class QuestionSet:
    """The questions of a file.

    Attributes:
        name: the name of the file.
        digest: a hash of everything that answers and scores depend on.
        is_v2: whether the file has questions without an answer, so that SQuAD v2.0's rules hold.
        examples: the questions to ask.
        base_rules: the rules for answers, apart from "no answer".
    """

    name: str
    digest: str
    is_v2: bool
    examples: Sequence[Example]
    base_rules: SpanRules = EVALUATION_RULES

    @property
    def metric(self) -> str:
        """The name of the metric, for reports."""
        return "SQuAD v2.0" if self.is_v2 else "SQuAD v1.1"

    @property
    def rules(self) -> SpanRules:
        """The rules for answers. In v2.0, "no answer" is one of the candidates."""
        return replace(self.base_rules, handle_impossible_answer=self.is_v2)


def read_questions(data: str, limit: int | None) -> QuestionSet:
    """Read the questions of a file. limit: take only the first ones.

    Raises: ToolError.
    """
    examples = read_examples(data)
    return QuestionSet(Path(data).name, _digest(data, examples), is_v2(examples), examples[:limit])


def read_questions_alone(data: str, limit: int | None, max_answer_len: int) -> QuestionSet:
    """Read the questions of a file without their gold answers, to be asked by the rules of a plain request.

    Raises: ToolError.
    """
    examples = question_file.read_questions(data)
    rules = replace(EVALUATION_RULES, max_answer_len=max_answer_len, align_to_words=True)
    return QuestionSet(Path(data).name, _digest(data, examples), False, examples[:limit], rules)


def _digest(data: str, examples: Sequence[Example]) -> str:
    """Return a hash of all questions. Raises: ToolError if there are none."""
    if not examples:
        raise ToolError(f"{data} contains no questions")
    return sha256(json.dumps([asdict(example) for example in examples]).encode()).hexdigest()
