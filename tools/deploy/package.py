"""An artifact in the form that SageMaker takes: packed as model.tar.gz, or as separate files.

The same files always give the same bytes of model.tar.gz. The archive holds regular files only, in sorted order. All of
them have the same owner and the same time.
"""

import gzip
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from model_loader import manifest as manifests
from model_loader.artifact import SAMPLE_FILES
from model_loader.errors import ModelLoadError
from model_loader.signing.file_hash import sha256_of, verify_file
from tools.errors import ToolError

COMPRESSION = 1  # Weights hardly shrink. A higher level would take minutes to save one percent.
MODE = 0o644  # The files are readable for every user, because serverless endpoints run as another user.

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class ArtifactFile:
    """One file: its name in the archive, and the path to its content, which is never a link."""

    name: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ArtifactContents:
    """The files of an artifact."""

    files: tuple[ArtifactFile, ...]

    @property
    def size_bytes(self) -> int:
        """The space that the files need on the endpoint's disk, unpacked."""
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """The SHA-256 of all names and contents. It is known before anything is packed."""
        return sha256("".join(f"{file.name}\0{file.sha256}\n" for file in self.files).encode()).hexdigest()


def read_contents(directory: Path) -> ArtifactContents:
    """List the files of an artifact, after a check that they are complete and match the manifest.

    Raises: ToolError if the artifact is incomplete or damaged, or holds something else than files.
    """
    _check_manifest(directory)
    files = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if any(part.startswith(".") for part in Path(name).parts) or (path.is_dir() and not path.is_symlink()):
            continue
        if not path.is_file():
            raise ToolError(
                f"{path} is a broken link, a link to a folder or not a regular file: "
                "remove it, or copy the artifact again"
            )
        files.append(ArtifactFile(name, path.resolve(), path.stat().st_size, sha256_of(path)))
    return ArtifactContents(tuple(files))


def _check_manifest(directory: Path) -> None:
    if not (directory / "tokenizer.json").is_file():
        raise ToolError(
            f"{directory} is not an artifact: it has no tokenizer.json. Name a directory that `quantize` wrote"
        )
    if not (directory / manifests.FILE_NAME).is_file():
        if not any((directory / name).is_file() for name in SAMPLE_FILES.values()):
            raise ToolError(f"{directory} is not an artifact: it has neither a manifest.json nor a model")
        return
    try:
        manifest = manifests.read(directory)
        for file in manifest.files:
            verify_file(directory / file.file, file.sha256, file.size_bytes)
    except ModelLoadError as error:
        raise ToolError(str(error)) from None


def write_archive(contents: ArtifactContents, target: Path, on_bytes: OnBytes = lambda count: None) -> None:
    """Write model.tar.gz. After each file, call `on_bytes` with the size of the file in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with (
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=COMPRESSION, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for file in contents.files:
            header = tarfile.TarInfo(file.name)  # The header has owner 0, time 0, and the type of a regular file.
            header.size, header.mode = file.size_bytes, MODE
            with file.path.open("rb") as content:
                archive.addfile(header, content)
            on_bytes(file.size_bytes)
    partial.replace(target)
