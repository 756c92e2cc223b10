"""Repositories on the hub that are no checkpoint, as far as the local cache knows them without a connection."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.local_server import PROGRAM_DIR

OPEN = """
import json, sys
from tools.checkpoint.checkpoint import open_checkpoint
from tools.errors import ToolError
found = {}
for source in sys.argv[1:]:
    try:
        found[source] = open_checkpoint(source).model_type
    except ToolError as error:
        found[source] = str(error)
print(json.dumps(found))
"""
COMMIT = "0" * 40


def write_repository(cache: Path, name: str, files: dict[str, bytes]) -> str:
    """Write a repository into the hub's cache, in the format of the hub."""
    repository = cache / f"models--{name.replace('/', '--')}"
    for path, content in {"refs/main": COMMIT.encode()}.items():
        (repository / path).parent.mkdir(parents=True)
        (repository / path).write_bytes(content)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    for file, content in files.items():
        (snapshot / file).write_bytes(content)
    return name


@pytest.fixture(scope="module")
def messages(small_checkpoint: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    cache = tmp_path_factory.mktemp("hub")
    files = {path.name: path.read_bytes() for path in small_checkpoint("distilbert").iterdir()}
    config = files["config.json"]
    adapter = {"adapter_config.json": b'{"base_model_name_or_path": "someone/bert"}', "adapter_model.safetensors": b""}
    decoder = json.dumps({**json.loads(config), "is_decoder": True}).encode()
    names = [
        write_repository(cache, "someone/good", files),
        write_repository(cache, "someone/adapter", adapter),
        write_repository(cache, "someone/both", {**files, **adapter}),
        write_repository(cache, "someone/tensorflow", {"config.json": config, "tf_model.h5": b""}),
        write_repository(cache, "someone/flax", {"config.json": config, "flax_model.msgpack": b""}),
        write_repository(cache, "someone/pickle", {"config.json": config, "pytorch_model.bin": b""}),
        write_repository(cache, "someone/weightless", {"config.json": config}),
        write_repository(cache, "someone/decoder", {**files, "config.json": decoder}),
    ]
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", OPEN, *names, "someone/unknown", "no/such/folder"]
    done = subprocess.run(command, cwd=PROGRAM_DIR, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        (
            "someone/adapter",
            ("is an adapter (LoRA) without the model that it belongs to, someone/bert", "merge_and_un"),
        ),
        ("someone/both", ("is a model with an adapter (LoRA) beside it, which would be left out", "merge_and_unload")),
        ("someone/tensorflow", ("has weights of TensorFlow only (tf_model.h5)", "from_tf=True")),
        ("someone/flax", ("has weights of Flax only (flax_model.msgpack)", "from_flax=True")),
        ("someone/pickle", ("has no weights in safetensors", "--allow-pickle")),
        ("someone/weightless", ("no weights that transformers finds (model.safetensors)", "Copy the checkpoint again")),
        ("someone/decoder", ("is_decoder True", "set this field to false")),
        ("someone/unknown", ("couldn't connect", "Connect to the hub, or name a directory")),
        ("no/such/folder", ("is neither a directory nor an id on the hub",)),
    ],
)
def test_a_repository_is_refused_with_what_it_is_and_the_way_out(
    messages: dict[str, str], name: str, reasons: tuple[str, ...]
) -> None:
    assert name in messages[name]
    assert "\n" not in messages[name]
    for reason in reasons:
        assert reason in messages[name]


def test_a_checkpoint_in_the_cache_is_opened(messages: dict[str, str]) -> None:
    assert messages["someone/good"] == "distilbert"
