"""The question-answering pipeline of transformers with a checkpoint in FP32, as people run it without this project."""

from functools import cached_property
from typing import Any

import torch
import transformers

from serve.qa.spans import SpanRules
from tools.checkpoint.checkpoint import open_checkpoint
from tools.checkpoint.errors import as_tool_error
from tools.errors import ToolError


class Pipeline:
    """A checkpoint in the pipeline. The weights are loaded when the first question is asked."""

    versions = {"transformers": transformers.__version__, "torch": torch.__version__}

    def __init__(self, source: str, *, allow_pickle: bool = False) -> None:
        """Check the checkpoint, and load its tokenizer. source: a directory, or a name on the hub.

        Raises: ToolError.
        """
        self.source = source
        self._checkpoint = open_checkpoint(source, allow_pickle=allow_pickle)
        if self._checkpoint.head.task != "question-answering":
            raise ToolError(f"{source} is {self._checkpoint.head.description}. The pipeline needs one that finds spans")
        with as_tool_error(source):
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)

    def token_ends(self, text: str) -> list[int]:
        """Return where each token of a text ends, in code points."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [end for _, end in encoded["offset_mapping"]]

    def answer(self, question: str, context: str, rules: SpanRules) -> tuple[str, float]:
        """Return the pipeline's best answer and its score. The pipeline cuts windows and searches spans itself.

        Raises: ToolError if the weights cannot be loaded. ValueError or another error of the pipeline's own.
        """
        found = self._pipeline(
            question=question,
            context=context,
            top_k=1,
            max_answer_len=rules.max_answer_len,
            handle_impossible_answer=rules.handle_impossible_answer,
            align_to_words=rules.align_to_words,
        )
        return found["answer"], float(found["score"])

    @cached_property
    def _pipeline(self) -> Any:
        model = self._checkpoint.load_model()
        return transformers.pipeline("question-answering", model=model, tokenizer=self._tokenizer, device="cpu")
