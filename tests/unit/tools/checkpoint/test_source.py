"""Folders that are no checkpoint: one line says what they are and the way out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError


def refusal_of(folder: Path) -> str:
    with pytest.raises(ToolError) as refused:
        open_checkpoint(str(folder)).save_tokenizer(folder)
    message = str(refused.value)
    assert message.startswith((str(folder), f"cannot load checkpoint {folder}"))
    assert "\n" not in message
    assert len(message) < 700
    return message


def test_an_adapter_is_named_with_its_base_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/bert"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    message = refusal_of(tmp_path)
    assert "is an adapter (LoRA) without the model that it belongs to, someone/bert" in message
    assert "merge_and_unload" in message


def test_an_adapter_beside_a_model_is_not_left_out(small_checkpoint: Any) -> None:
    checkpoint = small_checkpoint("distilbert")
    (checkpoint / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/bert"}')
    assert "is a model with an adapter (LoRA) beside it" in refusal_of(checkpoint)


def test_a_configuration_without_weights_is_no_checkpoint(small_checkpoint: Any) -> None:
    checkpoint = small_checkpoint("distilbert")
    (checkpoint / "model.safetensors").unlink()
    assert "has a config.json but no weights that transformers finds" in refusal_of(checkpoint)


def test_the_folder_above_a_model_names_the_folder_of_the_model(small_checkpoint: Any, tmp_path: Path) -> None:
    small_checkpoint("distilbert").rename(tmp_path / "demo")
    assert "has no config.json, so it is not a checkpoint. A model is in demo/ below" in refusal_of(tmp_path)


def test_an_empty_folder_is_no_checkpoint(tmp_path: Path) -> None:
    assert "Name the folder that save_pretrained has written" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "argument"), [("tf_model.h5", "from_tf=True"), ("flax_model.msgpack", "from_flax=True")]
)
def test_weights_of_another_library_are_named_with_the_call_that_converts_them(
    small_checkpoint: Any, name: str, argument: str
) -> None:
    checkpoint = small_checkpoint("distilbert")
    (checkpoint / "model.safetensors").rename(checkpoint / name)
    assert argument in (message := refusal_of(checkpoint))
    assert f"only ({name})" in message


def test_a_configuration_without_model_type_gets_no_list_of_all_models(small_checkpoint: Any, tmp_path: Path) -> None:
    # transformers looks for the name of a model in the path, and "distilbert" is in the path of the fixture
    checkpoint = small_checkpoint("distilbert").rename(tmp_path / "x")
    config = json.loads((checkpoint / "config.json").read_text())
    del config["model_type"]
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert "has no known model_type. Add the right one of bert, electra, distilbert, roberta" in refusal_of(checkpoint)
