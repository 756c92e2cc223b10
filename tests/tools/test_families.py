"""Checkpoints of each family with random weights: quantized, served, and compared with transformers.

SOAK=1 takes models of base size, and 300 pairs of question and context instead of 60.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from container import cpu
from model_loader import manifest
from tests.tools.command import error_of, run_entrypoint
from tests.tools.demo_files import CALIBRATION
from tests.trained_tokenizers import UNICODE, WRITE, texts
from tests.unit.tools.checkpoint.checkpoints import write_checkpoint
from tools.local_server import LocalServer

MAX_SEQ_LEN, DOC_STRIDE, MAX_ANSWER_LEN = 128, 32, 30
QUESTIONS = ("Who built the lighthouse?", "Où est Zürich?", "東京は?", "What (exactly) is 42.5% of it?", "don't they")
CLOSE = 2e-3  # two spans whose sums of logits differ by less may change places

IS_SOAK = bool(os.environ.get("SOAK"))
SMALL: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 256}
BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "initializer_range": 0.02,
    "has_biases": False,
}
SIZE = BASE if IS_SOAK else SMALL
CONTEXTS = 60 if IS_SOAK else 12


def write_family(directory: Path, family: str) -> Path:
    checkpoint = write_checkpoint(directory, family, **SIZE)
    WRITE[family](checkpoint)
    return checkpoint


def contexts() -> list[str]:
    """Texts of several lengths, rich in Unicode, of which some need more than one window."""
    words = UNICODE.split()
    sentences = " ".join(texts()).split()
    made = [
        " ".join(words[first % 5 :: 5] + sentences[7 * first : 7 * first + 8 + first]) for first in range(CONTEXTS - 2)
    ]
    return [*made, UNICODE, f"  {UNICODE}\n\n{texts()[0]}  {UNICODE}"]


def quantize(checkpoint: Path, output: Path, *arguments: object) -> Any:
    return run_entrypoint(
        "quantize", "--model", checkpoint, "--calibration", CALIBRATION, "--output", output, "--steps", 20,
        "--max-seq-len", MAX_SEQ_LEN, "--doc-stride", DOC_STRIDE, *arguments,
    )  # fmt: skip


class Reference:
    """transformers' own model and tokenizer, with the selection rule of run_qa over all spans."""

    def __init__(self, checkpoint: Path) -> None:
        from transformers import AutoModelForQuestionAnswering, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        self._model = AutoModelForQuestionAnswering.from_pretrained(checkpoint, attn_implementation="eager").eval()

    def best_spans(self, question: str, context: str) -> list[tuple[float, str]]:
        """Return the sums of logits of the best spans, and their texts without white space around them."""
        import torch

        encoded = self._tokenizer(
            question, context, truncation="only_second", max_length=MAX_SEQ_LEN, stride=DOC_STRIDE,
            return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        found: dict[str, float] = {}
        for window in range(len(encoded["input_ids"])):
            names = [name for name in self._tokenizer.model_input_names if name in encoded]
            with torch.no_grad():
                output = self._model(**{name: torch.tensor(encoded[name][window])[None] for name in names})
            start, end = output.start_logits[0].numpy(), output.end_logits[0].numpy()
            place = [at for at, part in enumerate(encoded.sequence_ids(window)) if part == 1]
            for sum_, text in _spans(start, end, place, encoded["offset_mapping"][window], context):
                found[text] = max(sum_, found.get(text, -np.inf))
        return sorted(((sum_, text) for text, sum_ in found.items()), reverse=True)[:5]


def _spans(
    start: np.ndarray, end: np.ndarray, place: Sequence[int], offsets: Sequence[tuple[int, int]], context: str
) -> list[tuple[float, str]]:
    """Return the best spans of one window, whose context has the positions `place`."""
    first, last = place[0], place[-1] + 1
    sums = start[first:last, None] + end[None, first:last]
    length = np.subtract.outer(np.arange(last - first), np.arange(last - first)) * -1
    sums[(length < 0) | (length >= MAX_ANSWER_LEN)] = -np.inf
    best = np.argsort(sums, axis=None)[::-1][:40]
    rows, columns = np.unravel_index(best, sums.shape)
    spans = [
        (float(sums[row, column]), context[offsets[first + row][0] : offsets[first + column][1]].strip())
        for row, column in zip(rows, columns, strict=True)
    ]
    return [(sum_, text) for sum_, text in spans if text]


@pytest.mark.parametrize(
    ("family", "engine"),
    [
        ("roberta", "ipex"),
        ("xlm-roberta", "ipex"),
        ("deberta-v2", "ipex"),
        ("deberta-v2", "openvino"),
        ("modernbert", "ipex"),
    ],
)
def test_a_family_is_quantized_and_answers_as_transformers_does(family: str, engine: str, tmp_path: Path) -> None:
    checkpoint, output = write_family(tmp_path / "model", family), tmp_path / "artifact"
    has_int8 = (family, engine) != ("deberta-v2", "ipex")
    if not has_int8:
        refused = quantize(checkpoint, output)
        assert "deberta-v2 model, which IPEX cannot run in INT8. Add --precisions bf16,fp32" in error_of(refused)
    precisions = "int8,bf16,fp32" if has_int8 else "bf16,fp32"
    ended = quantize(checkpoint, output, "--engine", engine, "--precisions", precisions)
    assert ended.returncode == 0, ended.stderr
    assert ("the recipe is static" in ended.stdout) == (has_int8 and family in ("modernbert", "deberta-v2"))
    made = manifest.read(output)
    assert (made.model_type, made.inputs) == (family, ["input_ids", "attention_mask"])
    if has_int8:
        assert made.precisions["INT8"].fused_groups > made.layers
    if family in ("roberta", "xlm-roberta"):
        assert made.precisions["INT8"].fused_groups == 7 * made.layers + 2
    reference = Reference(checkpoint)
    with LocalServer(output, {"WIDE_LANE": "false"}, log=tmp_path / "log") as server:
        assert ("BF16" in server.info()["precisions"]) == cpu.detect().has_bf16
        for precision in made.precisions:
            if precision in server.info()["precisions"]:
                found = ask(server, QUESTIONS[0], UNICODE, precision)
                assert UNICODE[found["start"] : found["end"]] == found["answer"] != ""
        pairs = [(question, context) for question in QUESTIONS for context in contexts()]
        wrong = [pair for pair in pairs if not agrees(server, reference, *pair)]
    assert wrong == []
    assert len(pairs) == CONTEXTS * len(QUESTIONS)


@pytest.mark.parametrize("family", ["xlm-roberta", "modernbert"])
def test_a_family_with_a_token_head_is_quantized(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForTokenClassification

    labels = {"id2label": {0: "RELEVANT", 1: "O"}, "label2id": {"RELEVANT": 0, "O": 1}}
    checkpoint = write_checkpoint(
        tmp_path / "model", family, auto_class=AutoModelForTokenClassification, **SMALL, **labels
    )
    WRITE[family](checkpoint)
    ended = quantize(checkpoint, tmp_path / "artifact", "--precisions", "int8,fp32")  # it compares FP32's logits
    assert ended.returncode == 0, ended.stderr
    assert "its class 0, 'RELEVANT', is that of relevant tokens" in ended.stdout
    made = manifest.read(tmp_path / "artifact")
    assert (made.task, made.model_type) == ("token-relevance", family)
    assert made.precisions["INT8"].fused_groups > made.layers
    if family == "xlm-roberta":
        refused = quantize(checkpoint, tmp_path / "other", "--recipe", "auto")
        assert "compares recipes by the F1 of answers" in error_of(refused)


def ask(server: LocalServer, question: str, context: str, precision: str) -> dict[str, Any]:
    body = {
        "question": question,
        "context": context,
        "precision": precision,
        "parameters": {"align_to_words": False, "max_answer_len": MAX_ANSWER_LEN},
    }
    answer: dict[str, Any] = httpx.post(f"{server.url}/invocations", json=body, timeout=60).raise_for_status().json()
    return answer


def agrees(server: LocalServer, reference: Reference, question: str, context: str) -> bool:
    """Whether the FP32 answer is the reference's, or one whose logits are as large but for rounding."""
    found = ask(server, question, context, "FP32")
    spans = reference.best_spans(question, context)
    return any(text == found["answer"] for sum_, text in spans if spans[0][0] - sum_ <= CLOSE)
