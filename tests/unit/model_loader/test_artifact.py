"""Artifacts on disk: whole ones open, each kind of damage is told, precisions are chosen."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container.cpu import Cpu
from container.precision import Precision
from model_loader.artifact import installed_version, minor, open_artifact, sha256_of, verify_file
from model_loader.errors import ArtifactInvalid, ArtifactMissing, ModelLoadError, PrecisionUnsupported

CPU = Cpu("any", "AVX512_CORE_BF16", (0,), None)
OLD_CPU = Cpu("any", "AVX2", (0,), None)
INT8: tuple[Precision, ...] = ("INT8",)  # one file only to hash, where the others do not matter

Manifest = dict[str, Any]


@pytest.fixture
def copy(demo_dir: Path, tmp_path: Path) -> Path:
    """A copy of the demo artifact; its model files are hard links, so replace() them, never write into them."""
    directory = tmp_path / "model"
    directory.mkdir()
    for file in demo_dir.iterdir():
        if file.suffix == ".pt":
            link(file, directory / file.name)
        else:
            shutil.copy(file, directory)
    return directory


def link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy(source, target)


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def edit(directory: Path, change: Callable[[Manifest], object]) -> None:
    path = directory / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def without_manifest(directory: Path) -> Path:
    (directory / "manifest.json").unlink()
    return directory


def test_the_demo_artifact_opens_with_int8_first(demo_dir: Path) -> None:
    artifact = open_artifact(demo_dir, None, CPU)
    manifest = json.loads((demo_dir / "manifest.json").read_bytes())
    assert [model.precision for model in artifact.models] == ["INT8", "FP32"]
    assert [model.path for model in artifact.models] == [
        str(demo_dir / "model_int8.pt"),
        str(demo_dir / "model_fp32.pt"),
    ]
    assert artifact.models[0].fused_groups == manifest["precisions"]["INT8"]["fused_groups"] > 0
    assert artifact.models[0].inputs == ("input_ids", "attention_mask", "token_type_ids")
    assert (artifact.max_seq_len, artifact.doc_stride) == (manifest["max_seq_len"], manifest["doc_stride"])
    assert artifact.tokenizer_file == demo_dir / "tokenizer.json"
    assert artifact.name == manifest["source_model"]


def test_a_copy_opens_as_the_original_does(copy: Path) -> None:
    assert [model.precision for model in open_artifact(copy, None, CPU).models] == ["INT8", "FP32"]


@pytest.mark.parametrize(
    ("wanted", "opened"),
    [(("FP32",), ["FP32"]), (("INT8",), ["INT8"]), (("FP32", "INT8"), ["INT8", "FP32"])],
)
def test_only_the_precisions_asked_for_are_opened(
    demo_dir: Path, wanted: tuple[Precision, ...], opened: list[str]
) -> None:
    assert [model.precision for model in open_artifact(demo_dir, wanted, CPU).models] == opened


def test_a_missing_directory_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="nowhere is not a directory"):
        open_artifact(tmp_path / "nowhere", None, CPU)


def test_a_file_in_place_of_the_directory_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(b"x")
    with pytest.raises(ArtifactMissing, match="not a directory"):
        open_artifact(file, None, CPU)


def test_an_empty_directory_is_missing_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"tokenizer\.json"):
        open_artifact(tmp_path, None, CPU)


def test_a_missing_tokenizer_is_missing(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ArtifactMissing, match=r"tokenizer\.json"):
        open_artifact(copy, None, CPU)


def test_a_missing_model_file_is_missing(copy: Path) -> None:
    (copy / "model_int8.pt").unlink()
    with pytest.raises(ArtifactMissing, match=r"model_int8\.pt"):
        open_artifact(copy, None, CPU)


def test_a_missing_model_file_does_not_matter_where_it_is_not_asked_for(copy: Path) -> None:
    (copy / "model_fp32.pt").unlink()
    assert [model.precision for model in open_artifact(copy, INT8, CPU).models] == ["INT8"]


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_truncated_model_file_is_invalid(copy: Path, kept: int) -> None:
    model = copy / "model_int8.pt"
    size = model.stat().st_size
    replace(model, model.read_bytes()[:kept])
    with pytest.raises(ArtifactInvalid, match=f"{model.stat().st_size} bytes, the manifest says {size}"):
        open_artifact(copy, INT8, CPU)


def test_one_flipped_byte_is_invalid(copy: Path) -> None:
    model = copy / "model_int8.pt"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    replace(model, bytes(content))
    with pytest.raises(ArtifactInvalid, match=r"model_int8\.pt has SHA-256"):
        open_artifact(copy, INT8, CPU)


@pytest.mark.parametrize("content", [b"", b"{", b"not JSON", b"\xff\xfe", b"[]", b"null", b'"text"'])
def test_a_manifest_that_is_no_json_object_is_invalid(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json"):
        open_artifact(copy, None, CPU)


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
def test_a_missing_field_is_invalid_and_named(copy: Path, path: tuple[Any, ...]) -> None:
    def remove(manifest: Manifest) -> None:
        part: Any = manifest
        for key in path[:-1]:
            part = part[key]
        del part[path[-1]]

    edit(copy, remove)
    with pytest.raises(ArtifactInvalid, match=rf"{'.'.join(map(str, path))}: Field required"):
        open_artifact(copy, None, CPU)


def change_schema(manifest: Manifest) -> None:
    manifest["schema_version"] = 1


def change_task(manifest: Manifest) -> None:
    manifest["task"] = "text-classification"


def add_field(manifest: Manifest) -> None:
    manifest["made_with"]["gpu"] = "none"


def drop_precisions(manifest: Manifest) -> None:
    manifest["precisions"] = {}


def rename_precision(manifest: Manifest) -> None:
    manifest["precisions"]["INT4"] = manifest["precisions"].pop("INT8")


def change_input(manifest: Manifest) -> None:
    manifest["inputs"] = ["input_ids", "position_ids"]


def change_engine(manifest: Manifest) -> None:
    manifest["precisions"]["INT8"]["engine"] = "onnx"


def shorten_hash(manifest: Manifest) -> None:
    manifest["precisions"]["INT8"]["sha256"] = "abc"


def shorten_golden_example(manifest: Manifest) -> None:
    manifest["golden_examples"][0]["results"]["INT8"]["end_logits"].pop()


@pytest.mark.parametrize(
    ("change", "named"),
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
def test_a_field_that_makes_no_sense_is_invalid_and_named(
    copy: Path, change: Callable[[Manifest], None], named: str
) -> None:
    edit(copy, change)
    with pytest.raises(ArtifactInvalid, match=rf"manifest\.json: {named}"):
        open_artifact(copy, None, CPU)


@pytest.mark.parametrize("name", ["../model_int8.pt", "/etc/passwd", "sub/model_int8.pt", "..", ".", "", "a\\b"])
def test_a_model_file_is_named_and_never_a_path(copy: Path, name: str) -> None:
    edit(copy, lambda manifest: manifest["precisions"]["INT8"].update(file=name))
    with pytest.raises(ModelLoadError):
        open_artifact(copy, INT8, CPU)


@pytest.mark.parametrize("name", ["../model_int8.pt", "/etc/passwd", "sub/model_int8.pt"])
def test_a_path_in_place_of_a_name_is_refused_even_where_it_leads_to_the_right_file(copy: Path, name: str) -> None:
    (copy / "sub").mkdir()
    link(copy / "model_int8.pt", copy / "sub" / "model_int8.pt")
    link(copy / "model_int8.pt", copy.parent / "model_int8.pt")
    edit(copy, lambda manifest: manifest["precisions"]["INT8"].update(file=name))
    with pytest.raises(ArtifactInvalid, match=r"precisions\.INT8\.file"):
        open_artifact(copy, INT8, CPU)


def test_a_precision_that_the_artifact_has_not_is_unsupported(demo_dir: Path) -> None:
    with pytest.raises(PrecisionUnsupported, match="asks for BF16; the artifact has INT8, FP32"):
        open_artifact(demo_dir, ("BF16", "FP32"), CPU)


@pytest.mark.parametrize("wanted", [None, INT8], ids=["auto", "explicit"])
@pytest.mark.parametrize(("package", "version"), [("torch", "1.13.1"), ("ipex", "1.13.0"), ("ipex", None)])
def test_an_artifact_of_another_minor_version_is_unsupported(
    copy: Path,
    caplog: pytest.LogCaptureFixture,
    wanted: tuple[Precision, ...] | None,
    package: str,
    version: str | None,
) -> None:
    edit(copy, lambda manifest: manifest["made_with"].update({package: version}))
    with caplog.at_level(logging.WARNING), pytest.raises(PrecisionUnsupported) as caught:
        open_artifact(copy, wanted, CPU)
    told = [str(caught.value)] if wanted else caplog.messages
    assert len(told) == len(wanted or ("INT8", "FP32"))
    assert all(f"made with {'torch' if package == 'torch' else 'intel-ext'}" in line for line in told)
    assert all(str(version) in line for line in told)


def test_another_patch_or_build_of_the_same_minor_version_will_do(copy: Path) -> None:
    here = installed_version("torch")
    assert here is not None
    edit(copy, lambda manifest: manifest["made_with"].update(torch=".".join((*minor(here), "99+cu1"))))
    assert [model.precision for model in open_artifact(copy, INT8, CPU).models] == ["INT8"]


def needs_other_ipex_for_int8(manifest: Manifest) -> None:
    manifest["made_with"]["ipex"] = "1.13.0"
    manifest["precisions"]["FP32"]["engine"] = "torchscript"


def test_auto_passes_over_what_cannot_run_here(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(copy, needs_other_ipex_for_int8)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(copy, None, CPU)
    assert [model.precision for model in artifact.models] == ["FP32"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("INT8 is passed over: ")


def test_what_was_asked_for_is_never_passed_over(copy: Path) -> None:
    edit(copy, needs_other_ipex_for_int8)
    with pytest.raises(PrecisionUnsupported, match="INT8 cannot run here"):
        open_artifact(copy, ("INT8", "FP32"), CPU)


def with_bf16(directory: Path) -> None:
    """Gives the artifact a BF16 model: FP32's file under another precision's name."""
    edit(directory, lambda manifest: manifest["precisions"].update(BF16=manifest["precisions"]["FP32"]))


def test_bf16_comes_between_int8_and_fp32(copy: Path) -> None:
    with_bf16(copy)
    assert [model.precision for model in open_artifact(copy, None, CPU).models] == ["INT8", "BF16", "FP32"]


def test_bf16_is_passed_over_on_a_cpu_without_it(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    with_bf16(copy)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(copy, None, OLD_CPU)
    assert [model.precision for model in artifact.models] == ["INT8", "FP32"]
    assert ["BF16" in line and "AVX2" in line for line in caplog.messages] == [True]


def test_bf16_asked_for_on_a_cpu_without_it_is_unsupported(copy: Path) -> None:
    with_bf16(copy)
    with pytest.raises(PrecisionUnsupported, match="BF16 cannot run here: .* this CPU has AVX2"):
        open_artifact(copy, ("BF16",), OLD_CPU)


def test_the_aws_samples_layout_loads_with_a_warning(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    without_manifest(copy)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(copy, None, CPU)
    assert ["no manifest.json" in line for line in caplog.messages] == [True]
    assert [model.precision for model in artifact.models] == ["INT8", "FP32"]
    assert artifact.manifest is None
    assert artifact.name == "model"
    assert (artifact.max_seq_len, artifact.doc_stride) == (384, 128)
    assert all(model.fused_groups is None for model in artifact.models)
    assert all(model.inputs == ("input_ids", "attention_mask", "token_type_ids") for model in artifact.models)


def test_the_samples_layout_loads_with_one_precision_only(copy: Path) -> None:
    (without_manifest(copy) / "model_int8.pt").unlink()
    assert [model.precision for model in open_artifact(copy, None, CPU).models] == ["FP32"]


def test_a_precision_that_the_samples_layout_has_not_is_unsupported(copy: Path) -> None:
    with pytest.raises(PrecisionUnsupported, match="asks for BF16"):
        open_artifact(without_manifest(copy), ("BF16",), CPU)


def test_the_samples_layout_without_model_files_is_missing(copy: Path) -> None:
    for precision in ("int8", "fp32"):
        (copy / f"model_{precision}.pt").unlink()
    with pytest.raises(ArtifactMissing, match=r"neither manifest\.json nor model_int8\.pt"):
        open_artifact(without_manifest(copy), None, CPU)


def test_a_version_is_compared_by_its_first_two_numbers() -> None:
    assert minor("2.8.0+cpu") == minor("2.8.1") == ("2", "8")
    assert minor("2.8.0") != minor("2.80.0")
    assert minor("") != minor("2.8")


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert installed_version("no-such-package-anywhere") is None
    assert installed_version("pytest") == pytest.__version__


def test_a_file_is_verified_by_size_and_hash(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-4's example
    assert sha256_of(file) == sha256
    verify_file(file, sha256, 3)
    for size, digest in ((4, sha256), (3, "0" * 64)):
        with pytest.raises(ArtifactInvalid):
            verify_file(file, digest, size)
    with pytest.raises(ArtifactMissing):
        verify_file(tmp_path / "other", sha256, 3)
