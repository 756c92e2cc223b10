"""Token heads of every architecture give transformers' own logits, and the class of relevant tokens is recognized."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from tests.unit.tools.checkpoint.checkpoints import (
    change_config,
    change_weights,
    inputs_of,
    remove_weights,
    write_checkpoint,
)
from tools.checkpoint.architectures import ARCHITECTURES
from tools.checkpoint.checkpoint import open_checkpoint
from tools.checkpoint.pipeline import Pipeline
from tools.errors import ToolError
from tools.quantize.export import rewrites


def labels(*names: str) -> dict[str, Any]:
    return {"id2label": dict(enumerate(names)), "label2id": {name: at for at, name in enumerate(names)}}


def write(directory: Path, model_type: str = "bert", **settings: Any) -> Path:
    return write_checkpoint(directory, model_type, auto_class=AutoModelForTokenClassification, **settings)


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_the_outputs_are_the_logits_of_the_two_classes(model_type: str, tmp_path: Path) -> None:
    checkpoint = write(tmp_path, model_type, **labels("RELEVANT", "OTHER"), classifier_dropout=0.5)
    reference = AutoModelForTokenClassification.from_pretrained(checkpoint, attn_implementation="eager").eval()
    opened = open_checkpoint(str(checkpoint))
    assert (opened.head.task, opened.head.relevant) == ("token-relevance", 0)
    window = inputs_of(31, model_type)
    with torch.no_grad():
        other, relevant = opened.load_model()(*window.values())
        expected = reference(**window).logits
    torch.testing.assert_close(torch.stack((relevant, other), dim=-1), expected, rtol=1e-5, atol=1e-5)


def test_the_rewrites_before_int8_keep_the_logits(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(write(tmp_path, "xlm-roberta")))
    model, windows = checkpoint.load_model(), [tuple(inputs_of(tokens, "xlm-roberta").values()) for tokens in (12, 31)]
    with torch.no_grad():
        before = [torch.stack(model(*window)) for window in windows]
        layers = rewrites.encoder_layers(model, checkpoint.model_type)
        ranges = rewrites.observe_ranges(model, layers, windows)
        for layer in layers:
            rewrites.centre(layer, ranges)
            rewrites.smooth(model, layer, ranges, alpha=0.7)
        after = [torch.stack(model(*window)) for window in windows]
    assert len(layers) == 2
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("names", "relevant"),
    [
        (("LABEL_0", "LABEL_1"), 1),
        (("0", "1"), 1),
        (("1", "0"), 0),
        (("Relevant", "not relevant"), 0),
        (("O", "I-EVIDENCE"), 1),
        (("B-X", "O"), 0),
        (("highlight", "O"), 0),
        (("a", "b"), 1),
    ],
)
def test_the_class_of_relevant_tokens_is_recognized_by_its_name(
    tmp_path: Path, names: tuple[str, str], relevant: int
) -> None:
    head = open_checkpoint(str(write(tmp_path, **labels(*names)))).head
    assert (head.relevant, head.label) == (relevant, names[relevant])
    assert f"a token-relevance model (BertForTokenClassification): its class {relevant}" in head.description


@pytest.mark.parametrize("names", [("O",), ("O", "B-ANSWER", "I-ANSWER")])
def test_another_number_of_classes_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ToolError, match=rf"is a BertForTokenClassification with {len(names)} classes \(O"):
        open_checkpoint(str(write(tmp_path, **labels(*names))))


def test_a_model_that_classifies_whole_texts_is_refused(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path, "bert", auto_class=AutoModelForSequenceClassification)
    with pytest.raises(ToolError, match=r"its weights have no span head .* needs a class that ends with ForTokenClass"):
        open_checkpoint(str(checkpoint))
    modern = write_checkpoint(tmp_path / "modern", "modernbert", auto_class=AutoModelForSequenceClassification)
    with pytest.raises(ToolError, match="config.json names ModernBertForSequenceClassification"):
        open_checkpoint(str(modern))


def test_the_name_of_the_class_does_not_stand_for_weights(tmp_path: Path) -> None:
    span_model = write_checkpoint(tmp_path / "spans", "bert")
    change_config(span_model, {"architectures": ["BertForTokenClassification"]})
    assert open_checkpoint(str(span_model)).head.task == "question-answering"
    token_model = write(tmp_path / "tokens")
    change_config(token_model, {"architectures": ["BertModel"]})
    with pytest.raises(ToolError, match="its weights have no span head"):
        open_checkpoint(str(token_model))


def test_the_weights_of_a_token_head_are_checked_like_those_of_a_span_head(tmp_path: Path) -> None:
    checkpoint = write(tmp_path)
    change_weights(checkpoint, lambda weights: {**weights, "qa_outputs.weight": torch.zeros(2, 64)})
    assert open_checkpoint(str(checkpoint)).load_model()  # other heads may be there
    change_weights(checkpoint, lambda weights: {**weights, "classifier.scale": torch.zeros(2)})
    with pytest.raises(ToolError, match=r"does not use, such as classifier\.scale"):
        open_checkpoint(str(checkpoint)).load_model()
    remove_weights(checkpoint, "classifier.bias")
    with pytest.raises(ToolError, match=r"lacks weights, such as classifier\.bias"):
        open_checkpoint(str(checkpoint))


def test_an_encoder_of_a_token_model_can_be_trained_for_spans(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(write(tmp_path)), needs_span_head=False)
    assert checkpoint.head.task == "question-answering"
    assert checkpoint.load_for_training().qa_outputs.weight.shape == (2, 64)


def test_the_pipeline_for_question_answering_refuses_a_token_model(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="is a token-relevance model .* The pipeline needs one that finds spans"):
        Pipeline(str(write(tmp_path)))
