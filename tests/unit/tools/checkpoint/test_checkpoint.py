"""What is believed of a checkpoint: its weights, not what its configuration says of them."""

from typing import Any

import pytest
import torch

from tests.unit.tools.checkpoint.checkpoints import change_config, remove_weights
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError


@pytest.mark.parametrize(
    "change",
    [
        {"architectures": None},
        {"architectures": []},
        {"architectures": ["DistilBertModel"]},
        {"architectures": ["DistilBertForMaskedLM"]},
        {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
    ],
)
def test_the_weights_decide_what_a_model_is(small_checkpoint: Any, change: dict[str, Any]) -> None:
    checkpoint = small_checkpoint("distilbert")
    change_config(checkpoint, change)
    model = open_checkpoint(str(checkpoint)).load_model()
    ids = torch.tensor([[101, 2054, 102, 2023, 102]])
    assert [logits.shape for logits in model(ids, torch.ones_like(ids))] == [(1, 5), (1, 5)]


def test_a_model_without_a_span_head_is_refused(small_checkpoint: Any) -> None:
    checkpoint = small_checkpoint("distilbert")
    remove_weights(checkpoint, "qa_outputs.weight", "qa_outputs.bias")
    with pytest.raises(ToolError, match=r"its weights have no span head \(qa_outputs.weight, qa_outputs.bias\)"):
        open_checkpoint(str(checkpoint))


def test_a_model_that_lacks_other_weights_is_refused(small_checkpoint: Any) -> None:
    checkpoint = small_checkpoint("distilbert")
    remove_weights(checkpoint, name := "distilbert.transformer.layer.1.ffn.lin1.weight")
    with pytest.raises(ToolError, match=f"lacks weights, such as {name}"):
        open_checkpoint(str(checkpoint)).load_model()
