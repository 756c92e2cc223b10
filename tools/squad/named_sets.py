"""SQuAD by name: `squad:validation` stands for a file that is downloaded once, and whose hash is checked.

The files are those of SQuAD's authors, in their own format. They need no library, and they do not change.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx

from tools.errors import ToolError

BASE_URL = "https://rajpurkar.github.io/SQuAD-explorer/dataset"
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class SquadFile:
    """A file of SQuAD's authors. Its hash is that of the file itself."""

    name: str
    sha256: str


# The hashes are those that Hugging Face's datasets library and ParlAI (parlai/tasks/squad2/build.py) pinned as well.
SETS = {
    "squad:train": SquadFile("train-v1.1.json", "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955"),
    "squad:validation": SquadFile("dev-v1.1.json", "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9"),
    "squad_v2:train": SquadFile("train-v2.0.json", "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002"),
    "squad_v2:validation": SquadFile(
        "dev-v2.0.json", "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8"
    ),
}
NAMES = ", ".join(SETS)


def path_of(source: str) -> Path:
    """Return the file that `source` names: a file of SQuAD, which is downloaded if it is not there yet, or a path.

    Raises: ToolError if a name has no split or an unknown one, or if the file cannot be downloaded.
    """
    data_set, _, split = source.partition(":")
    if data_set not in ("squad", "squad_v2"):
        return Path(source)
    if source in SETS:
        return _cached(SETS[source])
    problem = f"SQuAD has no split {split!r}" if split else f"{source} does not say which split"
    raise ToolError(
        f"{problem}: name {data_set}:train to calibrate, and {data_set}:validation to evaluate, or a file "
        "in SQuAD's format"
    )


def cache_folder() -> Path:
    """Return the folder for the files, below XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bert-qa" / "squad"


def _cached(file: SquadFile) -> Path:
    path = cache_folder() / file.name
    if path.is_file() and sha256(path.read_bytes()).hexdigest() == file.sha256:
        return path
    url = f"{BASE_URL}/{file.name}"
    content = _download(url, path)
    digest = sha256(content).hexdigest()
    if digest != file.sha256:
        raise ToolError(
            f"{url} has the SHA-256 {digest}, not {file.sha256}: it is not SQuAD's file, for example the page of a "
            f"proxy. Copy the right file to {path}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{file.name}.{os.getpid()}.part")
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        raise ToolError(f"cannot write {path}: {error.strerror}. Set XDG_CACHE_HOME to another folder") from None
    return path


def _download(url: str, path: Path) -> bytes:
    try:
        response = httpx.get(url, timeout=TIMEOUT_SECONDS, follow_redirects=True)
        response.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error).partition("\n")[0]  # httpx adds a line with a link
        raise ToolError(f"cannot download {url} ({reason}). Without a connection, copy the file to {path}") from None
    return response.content
