"""manifest.json is read and written, and the first invalid field is named."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_loader import manifest
from model_loader.errors import ArtifactInvalid
from tests.artifacts import CALIBRATION, edit_manifest

Content = dict[str, Any]


def test_a_manifest_that_is_written_reads_back_the_same(demo_dir: Path, tmp_path: Path) -> None:
    original = manifest.read(demo_dir)
    manifest.write(tmp_path, original)
    assert manifest.read(tmp_path) == original
    assert original.golden_examples
    assert (tmp_path / "manifest.json").read_bytes() == (demo_dir / "manifest.json").read_bytes()


def openvino(made: Content) -> None:
    """Describe INT8 as a model of OpenVINO. The hashes are those of other files."""
    entry = made["precisions"]["INT8"]
    made["precisions"] = {"INT8": {**entry, "engine": "openvino", "weights": {**made["tokenizer"], "file": "int8.bin"}}}


def test_a_model_of_openvino_has_two_files_and_other_manifests_do_not_change(
    artifact_copy: Path,
) -> None:
    text = (artifact_copy / "manifest.json").read_text()
    assert "openvino" not in text
    assert '"weights"' not in text
    edit_manifest(artifact_copy, openvino)
    made = manifest.read(artifact_copy)
    assert [file.file for file in made.files] == ["tokenizer.json", "model_int8.pt", "int8.bin"]
    manifest.write(artifact_copy, made)
    assert manifest.read(artifact_copy) == made


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: made["precisions"]["INT8"].update(engine="openvino"), "engine openvino and another one has not"),
        (lambda made: (openvino(made), made["precisions"]["INT8"].pop("weights")), "INT8 must have a file of weights"),
        (
            lambda made: made["precisions"]["INT8"].update(weights={**made["tokenizer"], "file": "int8.bin"}),
            "INT8 must have a file of weights",
        ),
    ],
)
def test_the_files_must_be_those_of_one_engine(
    artifact_copy: Path, change: Callable[[Content], object], reason: str
) -> None:
    edit_manifest(artifact_copy, change)
    with pytest.raises(ArtifactInvalid, match=reason):
        manifest.read(artifact_copy)


def test_an_update_changes_its_fields_and_leaves_one_complete_file(artifact_copy: Path) -> None:
    before = manifest.read(artifact_copy)
    files = set(artifact_copy.iterdir())
    manifest.update(artifact_copy, {"no_answer_threshold": -1.5})
    manifest.update(artifact_copy, {"temperature": 1.4, "calibration": CALIBRATION})
    after = manifest.read(artifact_copy)
    assert (after.no_answer_threshold, after.temperature) == (-1.5, 1.4)
    assert after.calibration is not None
    assert after.calibration.model_dump() == CALIBRATION
    unchanged = {"no_answer_threshold": None, "temperature": None, "calibration": None}
    assert after.model_copy(update=unchanged) == before
    assert set(artifact_copy.iterdir()) == files


@pytest.mark.parametrize(
    "changes",
    [
        {"no_answer_threshold": float("inf")},
        {"temperature": 0.01},
        {"calibration": CALIBRATION},
        {"temperature": 1.4, "calibration": {**CALIBRATION, "log_odds_shift": 21}},
    ],
)
def test_an_update_to_a_value_that_is_not_valid_leaves_the_file_as_it_is(
    artifact_copy: Path, changes: dict[str, object]
) -> None:
    before = (artifact_copy / "manifest.json").read_bytes()
    with pytest.raises(ArtifactInvalid, match="The file was left as it is"):
        manifest.update(artifact_copy, changes)
    assert (artifact_copy / "manifest.json").read_bytes() == before


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
        ("embedding_rows",),
        ("tokenizer",),
        ("tokenizer", "sha256"),
        ("made_with", "tokenizers"),
        ("precisions", "INT8", "engine"),
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
    with pytest.raises(ArtifactInvalid, match=rf"{'.'.join(map(str, path))}: is missing"):
        manifest.read(artifact_copy)


def change_schema(content: Content) -> None:
    content["schema_version"] = "3"


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


def allow_any_difference(content: Content) -> None:
    content["precisions"]["INT8"]["rms_difference"] = float("inf")


def remove_golden_examples(content: Content) -> None:
    content["golden_examples"] = []


def remove_the_results_of_a_precision(content: Content) -> None:
    del content["golden_examples"][1]["results"]["INT8"]


def remove_a_row_of_the_embedding(content: Content) -> None:
    content["embedding_rows"] = max(id_ for each in content["golden_examples"] for id_ in each["input_ids"])


def shorten_windows(content: Content) -> None:
    content["max_seq_len"] = 64


def lengthen_windows(content: Content) -> None:
    content["max_seq_len"] = 2**16


def rename_tokenizer(content: Content) -> None:
    content["tokenizer"]["file"] = "other.json"


def set_threshold(content: Content) -> None:
    content["no_answer_threshold"] = float("nan")


def set_temperature(content: Content) -> None:
    content["temperature"] = 0


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
        (allow_any_difference, r"precisions\.INT8\.rms_difference: must be a number, and neither NaN nor infinite"),
        (remove_golden_examples, "golden_examples"),
        (remove_the_results_of_a_precision, "a golden example has no result of INT8"),
        (remove_a_row_of_the_embedding, "a golden example has a token id .* no row"),
        (shorten_windows, "a golden example is longer than max_seq_len"),
        (lengthen_windows, "max_seq_len"),
        (rename_tokenizer, r"tokenizer\.file"),
        (set_threshold, "no_answer_threshold"),
        (set_temperature, "temperature"),
    ],
)
def test_a_field_with_an_invalid_value_is_named(
    artifact_copy: Path, change: Callable[[Content], None], field: str
) -> None:
    edit_manifest(artifact_copy, change)
    with pytest.raises(ArtifactInvalid, match=rf"manifest\.json: {field}"):
        manifest.read(artifact_copy)


@pytest.mark.parametrize(("version", "age"), [(1, "an older"), (2, "an older"), (4, "a newer")])
def test_an_artifact_of_another_schema_is_refused_with_the_command_that_makes_it_again(
    artifact_copy: Path, version: int, age: str
) -> None:
    def change(content: Content) -> None:
        content["schema_version"] = version
        content["source_model"] = "someone/a model"
        del content["tokenizer"]

    edit_manifest(artifact_copy, change)
    with pytest.raises(ArtifactInvalid) as caught:
        manifest.read(artifact_copy)
    assert f"schema_version is {version}, and this version reads 3: {age} version of `quantize`" in str(caught.value)
    command = shlex.split(str(caught.value).partition("Make it again: ")[2])
    assert command[:3] == ["python", "-m", "tools.quantize"]
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {
        "--model": "someone/a model",
        "--calibration": "FILE",
        "--output": str(artifact_copy),
        "--precisions": "int8,fp32",
        "--max-seq-len": "384",
        "--doc-stride": "128",
    }


def test_a_manifest_of_another_schema_may_lack_everything_else(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 2, "precisions": [], "max_seq_len": "x"}')
    with pytest.raises(ArtifactInvalid, match=r"python -m tools\.quantize --model MODEL --calibration FILE --output "):
        manifest.read(tmp_path)


def test_a_manifest_that_cannot_be_read_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json cannot be read: Is a directory"):
        manifest.read(tmp_path)
