"""Request bodies, and the windows that the server cuts from them."""

import json
from collections.abc import Sequence

from model_loader.artifact import Artifact
from serve.qa.features import Featurizer, Window, WindowLimits
from tools.benchmark.load_generator import Load
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.squad.examples import Example, read_examples
from tools.squad.rules import MAX_QUESTION_LEN

TOKENS_BESIDE_THE_CONTEXT = 4  # [CLS] word [SEP] context [SEP]


def read(data: str, questions: int) -> list[Example]:
    """Read `questions` questions, evenly spread over a file in SQuAD's format."""
    return spread(read_examples(data), questions)


def spread(examples: Sequence[Example], questions: int) -> list[Example]:
    """Choose `questions` of the examples, evenly spread."""
    return list(examples[:: max(1, len(examples) // questions)][:questions])


def bodies(examples: Sequence[Example], precision: str | None = None) -> list[bytes]:
    """Return one request for each question. Without a precision, the server chooses it."""
    return [_body(each.question, each.context, precision) for each in examples]


def body_of_length(tokens: int, precision: str | None = None) -> bytes:
    """Return a request whose single window has exactly `tokens` tokens, if the model's maximum allows it."""
    return _body("word", "word " * (tokens - TOKENS_BESIDE_THE_CONTEXT), precision)


def open_cutter(artifact: Artifact) -> Cutter:
    """Return a Cutter that cuts windows as a server of this artifact does."""
    limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, MAX_QUESTION_LEN)
    return Cutter(Featurizer(artifact.tokenizer_file), limits)


def windows(examples: Sequence[Example], cutter: Cutter) -> list[list[Window]]:
    """Return the windows of each question."""
    return [cutter.cut(each)[1] for each in examples]


def check_all_answered(load: Load, requests: int) -> None:
    """Raise ToolError unless the server answered every request with 200."""
    if len(load.answered_ms) != requests:
        raise ToolError(
            f"the server answered {len(load.answered_ms)} of {requests} requests and refused {load.refused}; "
            f"the others failed (number by status): {load.errors}"
        )


def _body(question: str, context: str, precision: str | None) -> bytes:
    version = {} if precision is None else {"version": precision}
    return json.dumps({"question": question, "context": context, **version}).encode()
