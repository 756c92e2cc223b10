"""A real token-relevance checkpoint: the demo model's encoder, with a head that is fitted to the calibration questions.

The encoder stays as it is, so the head is a logistic regression on its outputs. This takes seconds and has one result.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from serve.qa.highlight.highlights import ends_of
from tools.local_server import PROGRAM_DIR

DEMO = PROGRAM_DIR / "models" / "demo"
LABELS = {0: "OTHER", 1: "RELEVANT"}
STEPS = 60  # of L-BFGS
PENALTY = 1e-3  # on the squares of the weights


def write_relevance_checkpoint(directory: Path, questions: Path = DEMO / "calibration.json", every: int = 1) -> Path:
    """Write the checkpoint in the format of the hub. A token is relevant if its sentence holds an answer.

    every: every which question is used.
    """
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertForTokenClassification

    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    config = AutoConfig.from_pretrained(DEMO, id2label=LABELS, label2id={name: at for at, name in LABELS.items()})
    torch.manual_seed(0)
    model = BertForTokenClassification.from_pretrained(DEMO, config=config, dtype=torch.float32).eval()
    hidden, labels = [], []
    for question, context, answers in list(_questions(questions))[::every]:
        encoded = tokenizer(
            question, context, truncation="only_second", max_length=384, return_offsets_mapping=True,
            return_tensors="pt",
        )  # fmt: skip
        starts = encoded.pop("offset_mapping")[0, :, 0].numpy()
        in_context = np.array([part == 1 for part in encoded.sequence_ids(0)])
        ends = ends_of(context)
        gold = {at for start, end in answers for at in _sentences(ends, start, end)}
        sentences = np.searchsorted(ends, starts[in_context], side="right")
        with torch.no_grad():
            hidden.append(model.bert(**encoded).last_hidden_state[0, torch.from_numpy(in_context)])
        labels.append(torch.tensor([float(sentence in gold) for sentence in sentences.tolist()]))
    weight, bias = _fit(torch.cat(hidden), torch.cat(labels))
    with torch.no_grad():
        model.classifier.weight.copy_(torch.stack((-weight / 2, weight / 2)))
        model.classifier.bias.copy_(torch.stack((-bias / 2, bias / 2)))
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _fit(hidden: Any, labels: Any) -> tuple[Any, Any]:
    """Return the weight and the bias of the log odds of relevance."""
    import torch

    mean, scale = hidden.mean(0), hidden.std(0)
    inputs = (hidden - mean) / scale
    weight, bias = torch.zeros(inputs.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        found = torch.nn.functional.binary_cross_entropy_with_logits(inputs @ weight + bias, labels)
        found = found + PENALTY * weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    weight, bias = weight.detach(), bias.detach()
    return weight / scale, bias - (weight * mean / scale).sum()


def _sentences(ends: np.ndarray, start: int, end: int) -> range:
    """Return the sentences that a part of the context touches."""
    first, last = np.searchsorted(ends, (start, end - 1), side="right").tolist()
    return range(first, last + 1)


def _questions(path: Path) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Yield each question, its context and the places of its answers."""
    for article in json.loads(path.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                places = [(one["answer_start"], one["answer_start"] + len(one["text"])) for one in qa["answers"]]
                yield qa["question"], paragraph["context"], places
