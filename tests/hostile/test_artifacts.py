"""A server never serves an artifact that gives wrong answers: it refuses it, with one line that says what to do."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_loader.signing.file_hash import sha256_of
from tests.artifacts import edit_manifest
from tests.server.server_process import child_pids, error_messages, run_until_exit
from tests.waiting import wait_until
from tools.local_server import LocalServer

Content = dict[str, Any]
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a multi-model endpoint without a model."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        yield server


def rewrite_hash(directory: Path) -> None:
    """Write the size and the hash that tokenizer.json has now into the manifest."""
    path = directory / "tokenizer.json"
    found = {"sha256": sha256_of(path), "size_bytes": path.stat().st_size}
    edit_manifest(directory, lambda manifest: manifest["tokenizer"].update(found))


def change_tokenizer(directory: Path, change: Callable[[Content], object]) -> None:
    path = directory / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False))


def shuffle_ids(directory: Path) -> None:
    def shuffle(content: Content) -> None:
        vocabulary = content["model"]["vocab"]
        ids = list(vocabulary.values())
        random.Random(7).shuffle(ids)
        content["model"]["vocab"] = dict(zip(vocabulary, ids, strict=True))

    change_tokenizer(directory, shuffle)


def shuffle_ids_and_rewrite_hash(directory: Path) -> None:
    shuffle_ids(directory)
    rewrite_hash(directory)


def shuffle_few_ids_and_rewrite_hash(directory: Path) -> None:
    def shuffle(content: Content) -> None:
        vocabulary = content["model"]["vocab"]
        tokens = random.Random(7).sample([token for token, id_ in vocabulary.items() if id_ > 998], 300)
        ids = [vocabulary[token] for token in tokens]
        vocabulary.update(zip(tokens, ids[1:] + ids[:1], strict=True))

    change_tokenizer(directory, shuffle)
    rewrite_hash(directory)


def keep_capitals_and_rewrite_hash(directory: Path) -> None:
    change_tokenizer(directory, lambda content: content["normalizer"].update(lowercase=False))
    rewrite_hash(directory)


def add_token_and_rewrite_hash(directory: Path) -> None:
    change_tokenizer(
        directory,
        lambda content: content["added_tokens"].append({**content["added_tokens"][0], "id": 30522, "content": "[NEW]"}),
    )
    rewrite_hash(directory)


def cut_tokenizer_and_rewrite_hash(directory: Path) -> None:
    path = directory / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:10_000])
    rewrite_hash(directory)


def take_older_schema(directory: Path) -> None:
    def change(manifest: Content) -> None:
        manifest["schema_version"] = 2
        for name in ("tokenizer", "embedding_rows", "no_answer_threshold", "temperature"):
            del manifest[name]

    edit_manifest(directory, change)


def allow_infinite_difference(directory: Path) -> None:
    edit_manifest(directory, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=float("inf")))


def remove_golden_examples(directory: Path) -> None:
    edit_manifest(directory, lambda manifest: manifest.update(golden_examples=[]))


def set_temperature(directory: Path) -> None:
    edit_manifest(directory, lambda manifest: manifest.update(temperature=0.0))


def break_link_to_manifest(directory: Path) -> None:
    (directory / "manifest.json").unlink()
    (directory / "manifest.json").symlink_to("gone.json")


REFUSED: list[tuple[Damage, str]] = [
    (shuffle_ids, "tokenizer.json has SHA-256"),
    (shuffle_ids_and_rewrite_hash, "tokenizer.json does not fit the model: the text of golden example 1"),
    (shuffle_few_ids_and_rewrite_hash, "tokenizer.json does not fit the model: the text of golden example"),
    (keep_capitals_and_rewrite_hash, "tokenizer.json does not fit the model: the text of golden example 1"),
    (add_token_and_rewrite_hash, "the token '[NEW]' has the id 30522, but the model's embedding has only 30522 rows"),
    (cut_tokenizer_and_rewrite_hash, "tokenizer.json cannot be used as a tokenizer"),
    (take_older_schema, "Make it again: python -m tools.quantize --model demo --calibration FILE --output "),
    (allow_infinite_difference, "precisions.INT8.rms_difference: must be a number, and neither NaN nor infinite"),
    (remove_golden_examples, "golden_examples: must not be empty"),
    (set_temperature, "temperature: must be at least 0.05"),
    (break_link_to_manifest, "manifest.json cannot be read: No such file or directory"),
]
by_damage = pytest.mark.parametrize(("damage", "message"), REFUSED, ids=[damage.__name__ for damage, _ in REFUSED])


@by_damage
def test_the_server_refuses_to_start(artifact_copy: Path, damage: Damage, message: str) -> None:
    damage(artifact_copy)
    ended = run_until_exit({"MODEL_DIR": str(artifact_copy)})
    assert ended.returncode == 70
    (line,) = [line for line in error_messages(ended.stdout) if line.startswith("cannot start: ")]
    assert message in line
    assert "Traceback" not in ended.stdout + ended.stderr


@by_damage
def test_a_multi_model_endpoint_refuses_the_load(
    endpoint: LocalServer, artifact_copy: Path, damage: Damage, message: str
) -> None:
    damage(artifact_copy)
    before = child_pids(endpoint)
    body = {"model_name": "damaged", "url": str(artifact_copy)}
    response = httpx.post(f"{endpoint.url}/models", json=body, timeout=60)
    assert (response.status_code, response.json()["error_type"]) == (400, "model_unusable"), response.text
    assert message in response.json()["error"]
    assert httpx.get(f"{endpoint.url}/models").json() == {"models": []}
    wait_until("no new process is left", lambda: child_pids(endpoint) <= before)


def test_a_tokenizer_that_is_replaced_while_the_server_runs_is_refused_at_the_next_start_of_the_worker(
    artifact_copy: Path, tmp_path: Path
) -> None:
    """gunicorn starts a worker again after a crash. The files may have changed since the first start."""
    import psutil

    with LocalServer(artifact_copy, {"PRECISIONS": "INT8"}, tmp_path / "log") as server:
        server.wait_until_ready()
        shuffle_ids(artifact_copy)
        (worker,) = psutil.Process(server.process.pid).children()
        worker.kill()
        assert server.process.wait(120) == 70
    log = (tmp_path / "log").read_text()
    assert any("cannot start: " in line and "tokenizer.json has SHA-256" in line for line in error_messages(log))
