"""A complete artifact opens, each kind of damage is named, and the precisions to serve are chosen."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container.cpu import Cpu
from container.precision import Precision
from model_loader.artifact import installed_version, minor_version, open_artifact
from model_loader.errors import ArtifactInvalid, ArtifactMissing, ModelLoadError, PrecisionUnsupported
from tests.artifacts import edit_manifest, link, replace

CPU = Cpu("any", "AVX512_CORE_BF16", ((0,),), None)
OLD_CPU = Cpu("any", "AVX2", ((0,),), None)
INT8: tuple[Precision, ...] = ("INT8",)  # opening one precision only saves the time to hash the other files

Manifest = dict[str, Any]


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


def test_a_copy_opens_like_the_original(artifact_copy: Path) -> None:
    assert [model.precision for model in open_artifact(artifact_copy, None, CPU).models] == ["INT8", "FP32"]


@pytest.mark.parametrize(
    ("wanted", "opened"),
    [(("FP32",), ["FP32"]), (("INT8",), ["INT8"]), (("FP32", "INT8"), ["INT8", "FP32"])],
)
def test_only_the_precisions_asked_for_are_opened(
    demo_dir: Path, wanted: tuple[Precision, ...], opened: list[str]
) -> None:
    assert [model.precision for model in open_artifact(demo_dir, wanted, CPU).models] == opened


def test_a_directory_that_does_not_exist_is_a_missing_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="nowhere is not a directory"):
        open_artifact(tmp_path / "nowhere", None, CPU)


def test_a_file_in_place_of_the_directory_is_a_missing_artifact(tmp_path: Path) -> None:
    file = tmp_path / "model.tar.gz"
    file.write_bytes(b"x")
    with pytest.raises(ArtifactMissing, match="not a directory"):
        open_artifact(file, None, CPU)


def test_an_empty_directory_is_a_missing_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"tokenizer\.json"):
        open_artifact(tmp_path, None, CPU)


def test_a_missing_tokenizer_is_named(artifact_copy: Path) -> None:
    (artifact_copy / "tokenizer.json").unlink()
    with pytest.raises(ArtifactMissing, match=r"tokenizer\.json"):
        open_artifact(artifact_copy, None, CPU)


def test_a_missing_model_file_is_named(artifact_copy: Path) -> None:
    (artifact_copy / "model_int8.pt").unlink()
    with pytest.raises(ArtifactMissing, match=r"model_int8\.pt"):
        open_artifact(artifact_copy, None, CPU)


def test_a_missing_model_file_does_not_matter_if_its_precision_is_not_asked_for(artifact_copy: Path) -> None:
    (artifact_copy / "model_fp32.pt").unlink()
    assert [model.precision for model in open_artifact(artifact_copy, INT8, CPU).models] == ["INT8"]


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_truncated_model_file_is_invalid(artifact_copy: Path, kept: int) -> None:
    model = artifact_copy / "model_int8.pt"
    size = model.stat().st_size
    replace(model, model.read_bytes()[:kept])
    with pytest.raises(ArtifactInvalid, match=f"{model.stat().st_size} bytes, the manifest says {size}"):
        open_artifact(artifact_copy, INT8, CPU)


def test_a_model_file_with_one_flipped_bit_is_invalid(artifact_copy: Path) -> None:
    model = artifact_copy / "model_int8.pt"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    replace(model, bytes(content))
    with pytest.raises(ArtifactInvalid, match=r"model_int8\.pt has SHA-256"):
        open_artifact(artifact_copy, INT8, CPU)


def test_a_tokenizer_with_one_flipped_bit_is_invalid(artifact_copy: Path) -> None:
    tokenizer = artifact_copy / "tokenizer.json"
    content = bytearray(tokenizer.read_bytes())
    content[len(content) // 2] ^= 1
    tokenizer.write_bytes(content)
    with pytest.raises(ArtifactInvalid, match=r"tokenizer\.json has SHA-256"):
        open_artifact(artifact_copy, INT8, CPU)


def test_every_file_that_the_server_reads_has_a_hash(demo_dir: Path) -> None:
    manifest = json.loads((demo_dir / "manifest.json").read_bytes())
    artifact = open_artifact(demo_dir, None, CPU)
    read = {artifact.tokenizer_file.name, *(Path(model.path).name for model in artifact.models)}
    assert {each["file"] for each in (manifest["tokenizer"], *manifest["precisions"].values())} == read


def test_a_broken_link_is_not_the_samples_layout(artifact_copy: Path) -> None:
    without_manifest(artifact_copy)
    (artifact_copy / "manifest.json").symlink_to(artifact_copy / "gone.json")
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json cannot be read: No such file"):
        open_artifact(artifact_copy, None, CPU)


def test_an_invalid_manifest_makes_the_artifact_invalid(artifact_copy: Path) -> None:
    (artifact_copy / "manifest.json").write_text("{")
    with pytest.raises(ArtifactInvalid, match=r"manifest\.json"):
        open_artifact(artifact_copy, None, CPU)


@pytest.mark.parametrize("name", ["../model_int8.pt", "/etc/passwd", "sub/model_int8.pt", "..", ".", "", "a\\b"])
def test_the_manifest_cannot_name_a_model_file_by_its_path(artifact_copy: Path, name: str) -> None:
    edit_manifest(artifact_copy, lambda manifest: manifest["precisions"]["INT8"].update(file=name))
    with pytest.raises(ModelLoadError):
        open_artifact(artifact_copy, INT8, CPU)


@pytest.mark.parametrize("name", ["../model_int8.pt", "/etc/passwd", "sub/model_int8.pt"])
def test_a_path_is_refused_even_if_it_leads_to_the_right_file(artifact_copy: Path, name: str) -> None:
    (artifact_copy / "sub").mkdir()
    link(artifact_copy / "model_int8.pt", artifact_copy / "sub" / "model_int8.pt")
    link(artifact_copy / "model_int8.pt", artifact_copy.parent / "model_int8.pt")
    edit_manifest(artifact_copy, lambda manifest: manifest["precisions"]["INT8"].update(file=name))
    with pytest.raises(ArtifactInvalid, match=r"precisions\.INT8\.file"):
        open_artifact(artifact_copy, INT8, CPU)


def test_a_precision_that_the_artifact_lacks_is_unsupported(demo_dir: Path) -> None:
    with pytest.raises(PrecisionUnsupported, match="asks for BF16, but the artifact has INT8, FP32"):
        open_artifact(demo_dir, ("BF16", "FP32"), CPU)


@pytest.mark.parametrize("wanted", [None, INT8], ids=["auto", "explicit"])
@pytest.mark.parametrize(("package", "version"), [("torch", "1.13.1"), ("ipex", "1.13.0"), ("ipex", None)])
def test_an_artifact_of_another_minor_version_is_unsupported(
    artifact_copy: Path,
    caplog: pytest.LogCaptureFixture,
    wanted: tuple[Precision, ...] | None,
    package: str,
    version: str | None,
) -> None:
    edit_manifest(artifact_copy, lambda manifest: manifest["made_with"].update({package: version}))
    with caplog.at_level(logging.WARNING), pytest.raises(PrecisionUnsupported) as caught:
        open_artifact(artifact_copy, wanted, CPU)
    reasons = [str(caught.value)] if wanted else caplog.messages
    assert len(reasons) == len(wanted or ("INT8", "FP32"))
    assert all(f"made with {'torch' if package == 'torch' else 'intel-ext'}" in line for line in reasons)
    assert all(str(version) in line for line in reasons)


def test_another_patch_or_build_of_the_same_minor_version_is_accepted(artifact_copy: Path) -> None:
    here = installed_version("torch")
    assert here is not None
    edit_manifest(
        artifact_copy, lambda manifest: manifest["made_with"].update(torch=".".join((*minor_version(here), "99+cu1")))
    )
    assert [model.precision for model in open_artifact(artifact_copy, INT8, CPU).models] == ["INT8"]


def needs_other_ipex_for_int8(manifest: Manifest) -> None:
    manifest["made_with"]["ipex"] = "1.13.0"
    manifest["precisions"]["FP32"]["engine"] = "torchscript"


def test_a_precision_that_cannot_run_is_not_served_if_precisions_are_chosen_automatically(
    artifact_copy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edit_manifest(artifact_copy, needs_other_ipex_for_int8)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(artifact_copy, None, CPU)
    assert [model.precision for model in artifact.models] == ["FP32"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("INT8 is not served: ")


def test_a_precision_that_cannot_run_is_an_error_if_it_was_asked_for(artifact_copy: Path) -> None:
    edit_manifest(artifact_copy, needs_other_ipex_for_int8)
    with pytest.raises(PrecisionUnsupported, match="INT8 cannot run on this machine"):
        open_artifact(artifact_copy, ("INT8", "FP32"), CPU)


def made_by_openvino(version: str) -> Callable[[Manifest], None]:
    """Return a change of a manifest, after which OpenVINO of this version has made both precisions."""

    def change(manifest: Manifest) -> None:
        manifest["made_with"].update(ipex=None, openvino=version)
        for entry in manifest["precisions"].values():
            entry.update(engine="openvino", weights={name: entry[name] for name in ("file", "sha256", "size_bytes")})

    return change


@pytest.mark.parametrize(("version", "is_accepted"), [("2024.6.0", True), ("2099.1.0", False)])
def test_openvino_must_be_as_new_as_the_one_that_wrote_the_file(
    artifact_copy: Path, version: str, is_accepted: bool
) -> None:
    edit_manifest(artifact_copy, made_by_openvino(version))
    if is_accepted:
        (opened,) = open_artifact(artifact_copy, INT8, CPU).models
        assert opened.engine == "openvino"
    else:
        with pytest.raises(PrecisionUnsupported, match="made with openvino 2099.1.0, and this machine has an older"):
            open_artifact(artifact_copy, INT8, CPU)


def test_only_openvino_runs_on_arm(artifact_copy: Path) -> None:
    arm = Cpu("any", "ARM_BF16", ((0,),), None)
    with pytest.raises(PrecisionUnsupported, match="x86-64 CPUs only. Make the artifact again with `quantize --engine"):
        open_artifact(artifact_copy, INT8, arm)
    edit_manifest(artifact_copy, made_by_openvino("2024.6.0"))
    artifact = open_artifact(artifact_copy, None, arm)
    assert artifact.engine == "openvino"
    sizes = {model.precision: Path(model.path).stat().st_size / 1e6 for model in artifact.models}
    assert artifact.file_mb == {precision: 2 * size for precision, size in sizes.items()}


def add_bf16(directory: Path) -> None:
    """Add a BF16 precision to the artifact. Its file is that of FP32."""

    def add(manifest: Manifest) -> None:
        for holder in (manifest["precisions"], *(example["results"] for example in manifest["golden_examples"])):
            holder["BF16"] = holder["FP32"]

    edit_manifest(directory, add)


def test_bf16_comes_between_int8_and_fp32(artifact_copy: Path) -> None:
    add_bf16(artifact_copy)
    assert [model.precision for model in open_artifact(artifact_copy, None, CPU).models] == ["INT8", "BF16", "FP32"]


def test_bf16_is_not_served_on_a_cpu_without_bf16(artifact_copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_bf16(artifact_copy)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(artifact_copy, None, OLD_CPU)
    assert [model.precision for model in artifact.models] == ["INT8", "FP32"]
    assert ["BF16" in line and "AVX2" in line for line in caplog.messages] == [True]


def test_asking_for_bf16_on_a_cpu_without_bf16_is_an_error(artifact_copy: Path) -> None:
    add_bf16(artifact_copy)
    with pytest.raises(PrecisionUnsupported, match="BF16 cannot run on this machine: .* this CPU has AVX2"):
        open_artifact(artifact_copy, ("BF16",), OLD_CPU)


def test_the_aws_samples_layout_loads_with_a_warning(artifact_copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    without_manifest(artifact_copy)
    with caplog.at_level(logging.WARNING):
        artifact = open_artifact(artifact_copy, None, CPU)
    assert ["no manifest.json" in line for line in caplog.messages] == [True]
    assert [model.precision for model in artifact.models] == ["INT8", "FP32"]
    assert artifact.manifest is None
    assert artifact.name == "model"
    assert (artifact.max_seq_len, artifact.doc_stride) == (384, 128)
    assert all(model.fused_groups is None for model in artifact.models)
    assert all(model.inputs == ("input_ids", "attention_mask", "token_type_ids") for model in artifact.models)


def test_the_samples_layout_loads_with_a_single_precision(artifact_copy: Path) -> None:
    (without_manifest(artifact_copy) / "model_int8.pt").unlink()
    assert [model.precision for model in open_artifact(artifact_copy, None, CPU).models] == ["FP32"]


def test_a_precision_that_the_samples_layout_lacks_is_unsupported(artifact_copy: Path) -> None:
    with pytest.raises(PrecisionUnsupported, match="asks for BF16"):
        open_artifact(without_manifest(artifact_copy), ("BF16",), CPU)


def test_the_samples_layout_without_model_files_is_a_missing_artifact(artifact_copy: Path) -> None:
    for precision in ("int8", "fp32"):
        (artifact_copy / f"model_{precision}.pt").unlink()
    with pytest.raises(ArtifactMissing, match=r"neither manifest\.json nor model_int8\.pt"):
        open_artifact(without_manifest(artifact_copy), None, CPU)


def test_versions_are_compared_by_their_first_two_numbers() -> None:
    assert minor_version("2.8.0+cpu") == minor_version("2.8.1") == ("2", "8")
    assert minor_version("2.8.0") != minor_version("2.80.0")
    assert minor_version("") != minor_version("2.8")


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert installed_version("no-such-package-anywhere") is None
    assert installed_version("pytest") == pytest.__version__
