"""model.tar.gz: the same files give the same bytes, and an artifact that is incomplete or damaged is refused."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from container import cpu
from model_loader.artifact import open_artifact
from tests.artifacts import link, replace
from tools.deploy.package import read_contents, write_archive
from tools.errors import ToolError

FILES = {"tokenizer.json": b"{}", "model_int8.pt": b"int8" * 100_000, "extra/labels.txt": b"yes\nno\n"}


def make_folder(directory: Path, names: list[str]) -> Path:
    """Write small files with the names of the AWS sample, in the order of `names`."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    return directory


def pack(directory: Path, target: Path) -> bytes:
    write_archive(read_contents(directory), target)
    return target.read_bytes()


@pytest.fixture
def artifact_copy(demo_dir: Path, tmp_path: Path) -> Path:
    """Copy the demo artifact as hard links: use replace() instead of writing into them."""
    directory = tmp_path / "copy"
    directory.mkdir()
    for file in demo_dir.iterdir():
        link(file, directory / file.name)
    return directory


def _other_times(directory: Path) -> None:
    for number, path in enumerate(directory.rglob("*")):
        os.utime(path, (number, 2e9 + number))


def _other_modes(directory: Path) -> None:
    for path in directory.rglob("*.*"):
        path.chmod(0o600)


def _other_owner(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change the owner of a file")
    for path in directory.rglob("*"):
        os.chown(path, 12345, 54321)


def _links(directory: Path) -> None:
    """Replace the files by links to files elsewhere, as in the cache of a downloaded model."""
    for name in FILES:
        elsewhere = directory.parent / "blobs" / name
        elsewhere.parent.mkdir(parents=True, exist_ok=True)
        (directory / name).rename(elsewhere)
        (directory / name).symlink_to(elsewhere)


def _hidden_files(directory: Path) -> None:
    (directory / ".cache").mkdir()
    (directory / ".cache" / "lock").write_text("")
    (directory / ".DS_Store").write_text("")


@pytest.mark.parametrize("change", [_other_times, _other_modes, _other_owner, _links, _hidden_files])
def test_the_same_files_give_the_same_bytes(change: Callable[[Path], None], tmp_path: Path) -> None:
    one = make_folder(tmp_path / "one", list(FILES))
    other = make_folder(tmp_path / "other", list(reversed(FILES)))
    change(other)
    assert pack(one, tmp_path / "one.tar.gz") == pack(other, tmp_path / "elsewhere" / "other.tar.gz")
    assert read_contents(one).digest == read_contents(other).digest


def test_the_digest_changes_with_contents_and_with_names(tmp_path: Path) -> None:
    directory = make_folder(tmp_path / "one", list(FILES))
    digests = [read_contents(directory).digest]
    (directory / "extra" / "labels.txt").write_bytes(b"yes\nnO\n")
    digests.append(read_contents(directory).digest)
    (directory / "extra" / "labels.txt").rename(directory / "labels.txt")
    digests.append(read_contents(directory).digest)
    assert len(set(digests)) == 3


def test_the_archive_holds_only_readable_files_without_an_owner(tmp_path: Path) -> None:
    directory = make_folder(tmp_path / "one", list(FILES))
    _links(directory)
    seen: list[int] = []
    write_archive(read_contents(directory), tmp_path / "model.tar.gz", seen.append)
    assert (tmp_path / "model.tar.gz").read_bytes()[4:8] == bytes(4)  # the time in the header of gzip
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        members = archive.getmembers()
        held = {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    assert held == FILES
    assert list(held) == sorted(FILES)
    assert {(m.type, m.uid, m.gid, m.uname, m.mtime, m.mode) for m in members} == {
        (tarfile.REGTYPE, 0, 0, "", 0, 0o644)
    }
    assert sum(seen) == read_contents(directory).size_bytes == sum(len(content) for content in FILES.values())
    assert [path.name for path in tmp_path.glob("model*")] == ["model.tar.gz"]  # no partial file is left


def test_the_unpacked_archive_is_an_artifact_that_the_server_opens(demo_dir: Path, tmp_path: Path) -> None:
    pack(demo_dir, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "model", filter="data")
    here = cpu.detect()
    there = open_artifact(tmp_path / "model", None, here)
    assert there.manifest == open_artifact(demo_dir, None, here).manifest
    assert read_contents(tmp_path / "model").digest == read_contents(demo_dir).digest


def _change_a_byte(directory: Path) -> None:
    path = directory / "model_fp32.pt"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    replace(path, bytes(damaged))


def _shorten(directory: Path) -> None:
    path = directory / "model_fp32.pt"
    replace(path, path.read_bytes()[:-1])


def _remove_a_model(directory: Path) -> None:
    (directory / "model_fp32.pt").unlink()


def _remove_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()


def _only_tokenizer(directory: Path) -> None:
    for name in ("manifest.json", *(path.name for path in directory.glob("*.pt"))):
        (directory / name).unlink()


def _garble_manifest(directory: Path) -> None:
    replace(directory / "manifest.json", b"{}")


def _break_a_link(directory: Path) -> None:
    (directory / "notes.txt").symlink_to(directory / "gone.txt")


def _break_the_link_to_a_model(directory: Path) -> None:
    (directory / "model_fp32.pt").unlink()
    (directory / "model_fp32.pt").symlink_to(directory / "gone.pt")


def _link_a_folder(directory: Path) -> None:
    (directory.parent / "elsewhere").mkdir()
    (directory / "extra").symlink_to(directory.parent / "elsewhere")


def _add_a_pipe(directory: Path) -> None:
    os.mkfifo(directory / "pipe")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_change_a_byte, r"model_fp32.pt has SHA-256 \w+, the manifest says \w+\. Either .* Copy"),
        (_shorten, r"model_fp32.pt has \d+ bytes, the manifest says \d+\. Either .* Copy"),
        (_remove_a_model, "model_fp32.pt is missing, though the manifest names it. Copy"),
        (_break_the_link_to_a_model, "model_fp32.pt is missing"),
        (_remove_tokenizer, "copy is not an artifact: it has no tokenizer.json. Name a directory"),
        (_only_tokenizer, "copy is not an artifact: it has neither a manifest.json nor a model"),
        (_garble_manifest, "manifest.json: schema_version: is missing. Make the artifact again"),
        (_break_a_link, "notes.txt is a broken link"),
        (_link_a_folder, "extra is .* a link to a folder"),
        (_add_a_pipe, "pipe is .* not a regular file"),
    ],
)
def test_an_incomplete_or_damaged_artifact_is_refused(
    change: Callable[[Path], None], words: str, artifact_copy: Path
) -> None:
    change(artifact_copy)
    with pytest.raises(ToolError, match=words):
        read_contents(artifact_copy)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="none is not an artifact"):
        read_contents(tmp_path / "none")
