"""Answers of the question-answering pipeline of transformers, which runs a checkpoint in FP32 in this process."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from container import contract
from container.precision import Precision
from model_loader.signing.file_hash import sha256_of
from serve.qa.spans import SpanRules
from tools.answers.source import NO_REPLY, Reply
from tools.checkpoint.pipeline import Pipeline
from tools.errors import ToolError
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit
from tools.squad.rules import MAX_QUESTION_LEN

ONLY: Precision = "FP32"


class PipelineSource:
    """A checkpoint in the pipeline of transformers as an AnswerSource."""

    def __init__(
        self, checkpoint: str, max_question_len: int = MAX_QUESTION_LEN, *, allow_pickle: bool = False
    ) -> None:
        """Check the checkpoint: a directory, or a name on the hub.

        Raises: ToolError.
        """
        self.question_limit = QuestionLimit(max_question_len)
        self.precisions: Sequence[Precision] = (ONLY,)
        self._pipeline = Pipeline(checkpoint, allow_pickle=allow_pickle)

    def info(self) -> Mapping[str, Any]:
        """Say which checkpoint answers, and which versions run it."""
        return {"checkpoint": self._pipeline.source, "versions": self._pipeline.versions}

    def identity(self, precision: Precision) -> Mapping[str, Any] | None:
        """Return the hashes of the files of a directory; None for a name on the hub, whose files can change."""
        folder = Path(self._pipeline.source)
        if not folder.is_dir():
            return None
        hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
        return {"pipeline": hashes, "version": contract.VERSION, "versions": self._pipeline.versions}

    def answers(self, precision: Precision, examples: Sequence[Example], rules: SpanRules) -> Iterator[Reply]:
        """Yield one reply after the other.

        Raises: ToolError.
        """
        for example in examples:
            fitted = self._fitted(example)
            try:
                yield Reply(*self._pipeline.answer(fitted.question, fitted.context, rules)) if fitted else NO_REPLY
            except (ValueError, KeyError, IndexError) as error:  # such as an empty context
                raise ToolError(f"question {example.id}: the pipeline of transformers fails: {error}") from None

    def _fitted(self, example: Example) -> Example | None:
        """Return the example, with its question cut if it is too long; None if the question has no words."""
        ends = self._pipeline.token_ends(example.question)
        if not example.question.strip() or not ends:
            self.question_limit.blank.add(example.id)
            return None
        if len(ends) <= self.question_limit.tokens:
            return example
        self.question_limit.cut.add(example.id)
        return replace(example, question=example.question[: ends[self.question_limit.tokens - 1]])
