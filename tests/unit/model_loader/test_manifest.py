"""manifest.json is read and written, and the first invalid field is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_loader import manifest
from model_loader.errors import ArtifactInvalid
from tests.artifacts import edit_manifest

Content = dict[str, Any]


def test_a_manifest_that_is_written_reads_back_the_same(demo_dir: Path, tmp_path: Path) -> None:
    original = manifest.read(demo_dir)
    manifest.write(tmp_path, original)
    assert manifest.read(tmp_path) == original
    assert original.golden_examples
    assert (tmp_path / "manifest.json").read_bytes() == (demo_dir / "manifest.json").read_bytes()


@pytest.mark.parametrize("content", [b"", b"{", b"not JSON", b"\xff\xfe", b"[]", b"null", b'"text"'])
def test_a_file_that_is_not_a_json_object_is_invalid(artifact_copy: Path, content: bytes) -> None:
    (artifact_copy / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json"):
        manifest.read(artifact_copy)


@pytest.mark.parametrize(
    "path",
    [
        ("schema_version",),
        ("task",),
        ("inputs",),
        ("max_seq_len",),
        ("made_with",),
        ("made_with", "torch"),
        ("precisions",),
        ("precisions", "INT8", "sha256"),
        ("precisions", "INT8", "size_bytes"),
        ("precisions", "INT8", "fused_groups"),
        ("golden_examples",),
        ("golden_examples", 0, "context_offset"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_a_missing_field_is_named(artifact_copy: Path, path: tuple[Any, ...]) -> None:
    def remove(content: Content) -> None:
        part: Any = content
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]

    edit_manifest(artifact_copy, remove)
    with pytest.raises(ArtifactInvalid, match=rf"{'.'.join(map(str, path))}: Field required"):
        manifest.read(artifact_copy)


def change_schema(content: Content) -> None:
    content["schema_version"] = 1


def change_task(content: Content) -> None:
    content["task"] = "text-classification"


def add_field(content: Content) -> None:
    content["made_with"]["gpu"] = "none"


def drop_precisions(content: Content) -> None:
    content["precisions"] = {}


def rename_precision(content: Content) -> None:
    content["precisions"]["INT4"] = content["precisions"].pop("INT8")


def change_input(content: Content) -> None:
    content["inputs"] = ["input_ids", "position_ids"]


def change_engine(content: Content) -> None:
    content["precisions"]["INT8"]["engine"] = "onnx"


def shorten_hash(content: Content) -> None:
    content["precisions"]["INT8"]["sha256"] = "abc"


def shorten_golden_example(content: Content) -> None:
    content["golden_examples"][0]["results"]["INT8"]["end_logits"].pop()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (change_schema, "schema_version"),
        (change_task, "task"),
        (add_field, r"made_with\.gpu"),
        (drop_precisions, "precisions"),
        (rename_precision, "precisions.INT4"),
        (change_input, r"inputs\.1"),
        (change_engine, r"precisions\.INT8\.engine"),
        (shorten_hash, r"precisions\.INT8\.sha256"),
        (shorten_golden_example, r"golden_examples\.0"),
    ],
)
def test_a_field_with_an_invalid_value_is_named(
    artifact_copy: Path, change: Callable[[Content], None], field: str
) -> None:
    edit_manifest(artifact_copy, change)
    with pytest.raises(ArtifactInvalid, match=rf"manifest\.json: {field}"):
        manifest.read(artifact_copy)
