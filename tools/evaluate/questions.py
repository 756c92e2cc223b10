"""The questions of an evaluation, and the rules by which they are asked and scored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path

from serve.qa.spans import SpanRules
from tools.errors import ToolError
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
    """

    name: str
    digest: str
    is_v2: bool
    examples: Sequence[Example]

    @property
    def metric(self) -> str:
        """The name of the metric, for reports."""
        return "SQuAD v2.0" if self.is_v2 else "SQuAD v1.1"

    @property
    def rules(self) -> SpanRules:
        """The rules for answers. In v2.0, "no answer" is one of the candidates."""
        return replace(EVALUATION_RULES, handle_impossible_answer=self.is_v2)


def read_questions(data: str, limit: int | None) -> QuestionSet:
    """Read the questions of a file. limit: take only the first ones.

    Raises: ToolError.
    """
    examples = read_examples(data)
    if not examples:
        raise ToolError(f"{data} contains no questions")
    content = json.dumps([asdict(example) for example in examples])
    return QuestionSet(Path(data).name, sha256(content.encode()).hexdigest(), is_v2(examples), examples[:limit])
