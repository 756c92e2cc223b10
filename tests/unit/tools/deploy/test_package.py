"""model.tar.gz: the same bytes for the same files, nothing but files, whole; what is not an artifact is refused."""

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from container import cpu
from model_loader.artifact import open_artifact
from tests.artifacts import link, replace
from tools.deploy.package import contents, write
from tools.errors import ToolError

FILES = {"tokenizer.json": b"{}", "model_int8.pt": b"int8" * 100_000, "extra/labels.txt": b"yes\nno\n"}


def folder(directory: Path, names: list[str]) -> Path:
    """Small files under the names of the AWS sample, made in the order of names."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[name])
    return directory


def packed(directory: Path, target: Path) -> bytes:
    write(contents(directory), target)
    return target.read_bytes()


@pytest.fixture
def copy(demo_dir: Path, tmp_path: Path) -> Path:
    """The demo artifact in hard links, so replace() them, never write into them."""
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
        pytest.skip("only root may give files away")
    for path in directory.rglob("*"):
        os.chown(path, 12345, 54321)


def _links(directory: Path) -> None:
    """As a download cache keeps a model: names that lead to files elsewhere."""
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
    one = folder(tmp_path / "one", list(FILES))
    other = folder(tmp_path / "other", list(reversed(FILES)))
    change(other)
    assert packed(one, tmp_path / "one.tar.gz") == packed(other, tmp_path / "elsewhere" / "other.tar.gz")
    assert contents(one).digest == contents(other).digest


def test_other_contents_and_other_names_are_another_digest(tmp_path: Path) -> None:
    directory = folder(tmp_path / "one", list(FILES))
    digests = [contents(directory).digest]
    (directory / "extra" / "labels.txt").write_bytes(b"yes\nnO\n")
    digests.append(contents(directory).digest)
    (directory / "extra" / "labels.txt").rename(directory / "labels.txt")
    digests.append(contents(directory).digest)
    assert len(set(digests)) == 3


def test_the_archive_holds_readable_files_of_nobody_and_nothing_else(tmp_path: Path) -> None:
    directory = folder(tmp_path / "one", list(FILES))
    _links(directory)
    seen: list[int] = []
    write(contents(directory), tmp_path / "model.tar.gz", seen.append)
    assert (tmp_path / "model.tar.gz").read_bytes()[4:8] == bytes(4)  # gzip's own time
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        members = archive.getmembers()
        held = {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    assert held == FILES
    assert list(held) == sorted(FILES)
    assert {(m.type, m.uid, m.gid, m.uname, m.mtime, m.mode) for m in members} == {
        (tarfile.REGTYPE, 0, 0, "", 0, 0o644)
    }
    assert sum(seen) == contents(directory).size_bytes == sum(len(content) for content in FILES.values())
    assert [path.name for path in tmp_path.glob("model*")] == ["model.tar.gz"]  # no part of it is left


def test_unpacked_it_is_an_artifact_that_the_server_takes(demo_dir: Path, tmp_path: Path) -> None:
    packed(demo_dir, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as archive:
        archive.extractall(tmp_path / "model", filter="data")
    here = cpu.detect()
    there = open_artifact(tmp_path / "model", None, here)
    assert there.manifest == open_artifact(demo_dir, None, here).manifest
    assert contents(tmp_path / "model").digest == contents(demo_dir).digest


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


def _break_a_models_link(directory: Path) -> None:
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
        (_change_a_byte, r"model_fp32.pt has SHA-256 \w+, the manifest says \w+. Copy"),
        (_shorten, r"model_fp32.pt has \d+ bytes, the manifest says \d+. Copy"),
        (_remove_a_model, "model_fp32.pt is missing, though the manifest names it. Copy"),
        (_break_a_models_link, "model_fp32.pt is missing"),
        (_remove_tokenizer, "copy is no artifact: it holds no tokenizer.json. Name one"),
        (_only_tokenizer, "copy is no artifact: it holds neither manifest.json nor a model"),
        (_garble_manifest, "manifest.json: schema_version: Field required. Make the artifact again"),
        (_break_a_link, "notes.txt is a broken link"),
        (_link_a_folder, "extra is .* a link to a folder"),
        (_add_a_pipe, "pipe is .* no regular file"),
    ],
)
def test_what_is_not_whole_is_refused(change: Callable[[Path], None], words: str, copy: Path) -> None:
    change(copy)
    with pytest.raises(ToolError, match=words):
        contents(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="none is no artifact"):
        contents(tmp_path / "none")
