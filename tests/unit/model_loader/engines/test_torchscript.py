"""TorchScript files are loaded, run and warmed. The models are small ones that the tests write, without IPEX."""

from pathlib import Path

import numpy as np
import pytest
import torch

from model_loader.engines import torchscript
from model_loader.engines.qa_model import QAModel
from model_loader.errors import ArtifactInvalid, WarmupFailed
from model_loader.model_file import InputName, ModelFile

INPUTS: tuple[InputName, ...] = ("input_ids", "attention_mask", "token_type_ids")


class Echo(torch.nn.Module):
    """Returns logits that show which inputs arrived."""

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return (input_ids + 1000 * attention_mask).float(), token_type_ids.to(torch.bfloat16)


class Named(torch.nn.Module):
    """Takes one input and returns a dict, as the models of the AWS sample do."""

    def forward(self, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"start_logits": input_ids.float(), "end_logits": -input_ids.float()}


class Divided(torch.nn.Module):
    """Returns infinity for every token."""

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return input_ids / 0, input_ids.float()


class Short(torch.nn.Module):
    """Cannot run more than 32 tokens."""

    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = input_ids.float() + torch.zeros(1, 32)[:, : input_ids.shape[1]]
        return logits, logits


def loaded(
    directory: Path, module: torch.nn.Module, inputs: tuple[InputName, ...] = ("input_ids",), groups: int | None = 0
) -> QAModel:
    """Write a module to a file, and load it."""
    path = directory / "model.pt"
    torch.jit.script(module).save(str(path))
    return torchscript.load(ModelFile("FP32", str(path), "torchscript", inputs, groups))


def test_a_window_is_padded_to_the_rung_and_the_padding_has_no_logits(tmp_path: Path) -> None:
    model = loaded(tmp_path, Echo(), INPUTS)
    start, end = model.forward(np.array([101, 7, 102, 8, 102]), context_offset=3, rung=16)
    assert start.tolist() == [1101, 1007, 1102, 1008, 1102]
    assert end.tolist() == [0, 0, 0, 1, 1]
    assert (start.dtype, end.dtype) == (np.float32, np.float32)


def test_inputs_go_to_the_model_in_the_order_of_the_file(tmp_path: Path) -> None:
    model = loaded(tmp_path, Echo(), ("token_type_ids", "attention_mask", "input_ids"))
    start, end = model.forward(np.array([101, 7, 8]), context_offset=1, rung=16)
    assert start.tolist() == [1000, 1001, 1001]
    assert end.tolist() == [101, 7, 8]


def test_a_model_may_return_a_dict(tmp_path: Path) -> None:
    start, end = loaded(tmp_path, Named()).forward(np.array([3, 4]), context_offset=1, rung=16)
    assert (start.tolist(), end.tolist()) == ([3, 4], [-3, -4])


def test_a_rung_is_warm_after_it_was_measured(tmp_path: Path) -> None:
    model = loaded(tmp_path, Named())
    measured = model.warm(48)
    assert measured.cost_ms > 0
    assert measured.fused_groups == 0
    model.warm(16)
    assert model.warm_rungs == {16, 48}


def test_infinity_fails_the_warm_up(tmp_path: Path) -> None:
    model = loaded(tmp_path, Divided())
    with pytest.raises(WarmupFailed, match="FP32 returned NaN, infinity or too few logits for a window of 32 tokens"):
        model.warm(32)
    assert model.warm_rungs == set()


def test_a_rung_that_the_model_cannot_run_fails_the_warm_up(tmp_path: Path) -> None:
    model = loaded(tmp_path, Short())
    model.warm(32)
    with pytest.raises(WarmupFailed, match="FP32 cannot run a window of 64 tokens: "):
        model.warm(64)
    assert model.warm_rungs == {32}


def test_a_wrong_number_of_fused_groups_fails_the_warm_up(tmp_path: Path) -> None:
    model = loaded(tmp_path, Named(), groups=44)
    with pytest.raises(WarmupFailed, match="FP32 has 0 fused groups, but had 44 at quantization"):
        model.warm(32)


def test_the_number_of_fused_groups_is_not_checked_if_it_is_unknown(tmp_path: Path) -> None:
    assert loaded(tmp_path, Named(), groups=None).warm(32).fused_groups == 0


def test_a_file_that_torch_cannot_load_is_invalid(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"no model")
    with pytest.raises(ArtifactInvalid, match=r"torch cannot load .*model\.pt: .* Make the artifact again"):
        torchscript.load(ModelFile("FP32", str(path), "torchscript", ("input_ids",), 0))
