"""Checkpoints that are refused, each with one line that says what to do, and what one that is accepted cannot do."""

import http.server
import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from model_loader import manifest
from tests.tools.command import error_of, run_entrypoint, run_tool
from tests.tools.demo_files import CALIBRATION, DEMO


def test_a_checkpoint_that_is_not_for_question_answering_is_refused(tmp_path: Path) -> None:
    config = json.loads((DEMO / "config.json").read_text())
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    # `architectures` says otherwise, but the weights have no span head.
    save_file({"bert.embeddings.word_embeddings.weight": np.zeros((2, 2))}, checkpoint / "model.safetensors")
    for change, reason in (
        (
            {"architectures": ["BertForQuestionAnswering"]},
            "is not a question-answering model: its weights have no span",
        ),
        ({"model_type": "xlnet"}, "the known architectures are bert"),
    ):
        (checkpoint / "config.json").write_text(json.dumps({**config, **change}))
        ended = run_entrypoint(
            "quantize", "--model", checkpoint, "--calibration", CALIBRATION, "--output", tmp_path / "out"
        )
        assert reason in error_of(ended)
        assert not (tmp_path / "out").exists()
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    ended = run_entrypoint(
        "quantize", "--model", tmp_path / "no", "--calibration", CALIBRATION, "--output", tmp_path / "out"
    )
    assert "cannot load checkpoint" in error_of(ended)


def pickled_copy(checkpoint: Path, *, index: bool = False) -> Path:
    """Replace a checkpoint's model.safetensors by pytorch_model.bin, and with `index` name this file in an index."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(checkpoint / "model.safetensors")
    torch.save(weights, checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    if index:
        names = {"metadata": {}, "weight_map": dict.fromkeys(weights, "pytorch_model.bin")}
        (checkpoint / "model.safetensors.index.json").write_text(json.dumps(names))
    return checkpoint


def quantize(checkpoint: Path, output: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Make a small artifact in FP32."""
    return run_entrypoint(
        "quantize", "--model", checkpoint, "--calibration", CALIBRATION, "--output", output, "--steps", 20,
        "--max-seq-len", 128, "--doc-stride", 32, "--precisions", "fp32", *arguments,
    )  # fmt: skip


@pytest.mark.parametrize("index", [False, True], ids=["bin", "index that names the bin"])
def test_a_pickle_is_refused_unless_it_is_allowed(small_checkpoint: Any, tmp_path: Path, index: bool) -> None:
    checkpoint = pickled_copy(small_checkpoint("distilbert"), index=index)
    assert "has no weights in safetensors" in (error := error_of(quantize(checkpoint, tmp_path / "out")))
    assert "--allow-pickle" in error
    assert not (tmp_path / "out").exists()
    if not index:
        allowed = quantize(checkpoint, tmp_path / "out", "--allow-pickle")
        assert allowed.returncode == 0, allowed.stderr
        assert manifest.read(tmp_path / "out").model_type == "distilbert"


class Hub(http.server.BaseHTTPRequestHandler):
    """The Hugging Face hub, with one checkpoint in `directory`. `asked`: the methods and files of the requests."""

    directory: Path
    asked: list[tuple[str, str]]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.asked.append((self.command, name))
        file = self.directory / name
        content = file.read_bytes() if "/resolve/" in self.path and file.is_file() else None
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{name}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET" and content:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_pickle_on_the_hub_is_refused_and_not_even_downloaded(small_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = pickled_copy(small_checkpoint("distilbert"))
    handler = type("OneCheckpoint", (Hub,), {"directory": checkpoint, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        ended = run_tool(
            "quantize", "--model", "someone/pickled", "--calibration", CALIBRATION, "--output", tmp_path / "out",
            environment={"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path / "cache")},
        )  # fmt: skip
        hub.shutdown()
    assert "someone/pickled has no weights in safetensors" in error_of(ended)
    asked = set(handler.asked)  # type: ignore[attr-defined]
    assert {("GET", "config.json"), ("HEAD", "model.safetensors")} <= asked
    assert ("GET", "pytorch_model.bin") not in asked


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"adapter_config.json": b"{}"}, "is an adapter (LoRA) without the model"),
        ({"config.json": b'{"model_type": "bert", "is_decoder": true}', "model.safetensors": b""}, "is_decoder True"),
        ({"config.json": b'{"model_type": "gpt2"}', "model.safetensors": b""}, "is a gpt2 model; the known"),
    ],
)
def test_training_refuses_what_quantize_refuses_before_it_begins(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    checkpoint = tmp_path / "encoder"
    checkpoint.mkdir()
    for name, content in files.items():
        (checkpoint / name).write_bytes(content)
    ended = run_tool(
        "train_demo", "--encoder", checkpoint, "--phase", CALIBRATION, "--evaluation", CALIBRATION,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert reason in error_of(ended)
    assert not (tmp_path / "out").exists()


def test_training_refuses_a_pickle_too(small_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = pickled_copy(small_checkpoint("distilbert"))
    ended = run_tool(
        "train_demo", "--encoder", checkpoint, "--phase", CALIBRATION, "--evaluation", CALIBRATION,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert "has no weights in safetensors" in error_of(ended)


@pytest.mark.parametrize("command", ["quantize", "train_demo"])
def test_the_help_says_what_a_pickle_can_do(command: str) -> None:
    text = " ".join(run_tool(command, "--help").stdout.split())
    assert "--allow-pickle also load weights from pytorch_model.bin" in text
    assert "can run code on this machine" in text


def damage_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"not safetensors" * 10)


def change_size(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "vocab_size": 40000}))


def damage_tokenizer(checkpoint: Path) -> None:
    (checkpoint / "tokenizer.json").write_text('{"model": []}')


def damage_index(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text("[]")


@pytest.mark.parametrize("damage", [damage_weights, change_size, damage_tokenizer, damage_index])
def test_a_damaged_checkpoint_is_refused_with_one_line(small_checkpoint: Any, tmp_path: Path, damage: Any) -> None:
    checkpoint = small_checkpoint("distilbert")
    damage(checkpoint)
    assert "cannot load checkpoint" in error_of(quantize(checkpoint, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_token_without_a_row_in_the_embedding_is_named(small_checkpoint: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    checkpoint = small_checkpoint("distilbert")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.add_tokens(["[NEW]"])
    tokenizer.save_pretrained(checkpoint)
    error = error_of(quantize(checkpoint, tmp_path / "out"))
    assert "the token '[NEW]' has the id 30522, but the model's embedding has only 30522 rows" in error
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_without_post_processor_is_refused_with_one_line(small_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = small_checkpoint("distilbert")
    path = checkpoint / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "post_processor": None}))
    (checkpoint / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    assert "it does not write pairs as BERT or RoBERTa do" in error_of(quantize(checkpoint, tmp_path / "out"))


def test_a_chat_template_of_a_checkpoint_writes_no_file(small_checkpoint: Any, tmp_path: Path) -> None:
    checkpoint = small_checkpoint("distilbert")
    path = checkpoint / "tokenizer_config.json"
    templates = [{"name": name, "template": "x"} for name in ("default", "../../outside")]
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": templates}))
    ended = quantize(checkpoint, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert [found for found in tmp_path.rglob("*") if "outside" in found.name or "chat" in found.name] == []
