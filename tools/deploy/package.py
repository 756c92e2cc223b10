"""An artifact as SageMaker takes it: model.tar.gz, the same bytes for the same files; or the files as they are.

Whoever unpacks it gets regular files only, in one order, of one owner and one time.
"""

import gzip
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from model_loader import manifest as manifests
from model_loader.artifact import SAMPLE_FILES, sha256_of, verify_file
from model_loader.errors import ModelLoadError
from tools.errors import ToolError

COMPRESSION = 1  # weights hardly shrink: more would cost minutes for a percent
MODE = 0o644  # world-readable: serverless endpoints run as another user

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Member:
    """One file: its name in the archive, and where its bytes are (never a link)."""

    name: str
    path: Path
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What goes into model.tar.gz."""

    members: tuple[Member, ...]

    @property
    def size_bytes(self) -> int:
        """On the endpoint's disk, unpacked."""
        return sum(member.size_bytes for member in self.members)

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents; known before anything is packed."""
        return sha256("".join(f"{m.name}\0{m.sha256}\n" for m in self.members).encode()).hexdigest()


def contents(directory: Path) -> Contents:
    """The files of an artifact, proved whole against its manifest.

    Raises: ToolError.
    """
    _check(directory)
    members = []
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if any(part.startswith(".") for part in Path(name).parts) or (path.is_dir() and not path.is_symlink()):
            continue
        if not path.is_file():
            raise ToolError(
                f"{path} is a broken link, a link to a folder or no regular file: remove it, or copy the artifact again"
            )
        members.append(Member(name, path.resolve(), path.stat().st_size, sha256_of(path)))
    return Contents(tuple(members))


def _check(directory: Path) -> None:
    if not (directory / "tokenizer.json").is_file():
        raise ToolError(f"{directory} is no artifact: it holds no tokenizer.json. Name one that `quantize` wrote")
    if not (directory / manifests.FILE_NAME).is_file():
        if not any((directory / name).is_file() for name in SAMPLE_FILES.values()):
            raise ToolError(f"{directory} is no artifact: it holds neither manifest.json nor a model")
        return
    try:
        for entry in manifests.read(directory).precisions.values():
            verify_file(directory / entry.file, entry.sha256, entry.size_bytes)
    except ModelLoadError as error:
        raise ToolError(str(error)) from None


def write(packed: Contents, target: Path, on_bytes: OnBytes = lambda count: None) -> None:
    """Write model.tar.gz; calls on_bytes with the size of each file once it is in."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with (
        partial.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=COMPRESSION, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for member in packed.members:
            header = tarfile.TarInfo(member.name)  # owner 0, time 0, a regular file
            header.size, header.mode = member.size_bytes, MODE
            with member.path.open("rb") as file:
                archive.addfile(header, file)
            on_bytes(member.size_bytes)
    partial.replace(target)
