"""The server's answers in FP32 are those of the checkpoint in transformers, chosen by the rules of run_qa."""

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np

from tests.engines import needs_torch
from tools.squad.examples import read_examples

if TYPE_CHECKING:
    import torch
    from transformers import AutoTokenizer

DEMO = Path(__file__).parents[2] / "models" / "demo"
N_BEST, MAX_ANSWER_LEN, MAX_SEQ_LEN, DOC_STRIDE = 20, 30, 384, 128


def test_fp32_answers_match_those_of_transformers(client: httpx.Client) -> None:
    torch = needs_torch()
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    model = AutoModelForQuestionAnswering.from_pretrained(DEMO, dtype=torch.float32).eval()
    examples = read_examples(str(DEMO / "held_out.json"))
    examples = examples[::4] + [max(examples, key=lambda example: len(example.context))]
    differing = []
    for example in examples:
        logit, expected = run_qa(tokenizer, model, example.question, example.context)
        body = {
            "question": example.question,
            "context": example.context,
            "version": "FP32",
            "parameters": {"align_to_words": False, "max_answer_len": MAX_ANSWER_LEN},
        }
        found = client.post("/invocations", json=body).raise_for_status().json()
        if found["answer"] != expected:
            differing.append((example.id, logit, expected, found))
    assert len(examples) >= 50
    # run_qa considers only the 20 best starts and the 20 best ends. A better span outside of these would be no error.
    assert differing == []


def run_qa(tokenizer: "AutoTokenizer", model: "torch.nn.Module", question: str, context: str) -> tuple[float, str]:
    """Return the best span of all windows by the rules of transformers' run_qa: the sum of its logits, and its text."""
    import torch

    encoded = tokenizer(  # type: ignore[operator]
        question,
        context,
        truncation="only_second",
        max_length=MAX_SEQ_LEN,
        stride=DOC_STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=True,
        return_tensors="pt",
    )
    names = ("input_ids", "attention_mask", "token_type_ids")
    with torch.no_grad():
        output = model(**{name: encoded[name] for name in names})
    best = (-np.inf, "")
    for window in range(len(encoded["input_ids"])):
        start, end = output.start_logits[window].numpy(), output.end_logits[window].numpy()
        is_context = np.array([part == 1 for part in encoded.sequence_ids(window)])
        offsets = encoded["offset_mapping"][window].numpy()
        for first in np.argsort(-start)[:N_BEST]:
            for last in np.argsort(-end)[:N_BEST]:
                if is_context[first] and is_context[last] and first <= last < first + MAX_ANSWER_LEN:
                    text = context[offsets[first][0] : offsets[last][1]]
                    best = max(best, (float(start[first] + end[last]), text))
    return best
