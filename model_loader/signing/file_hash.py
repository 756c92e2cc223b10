"""The SHA-256 of a file, and the check that a file is the one that the manifest names."""

import hashlib
from pathlib import Path

from model_loader.errors import ArtifactInvalid, ArtifactMissing

CHANGED = "Either it was damaged on its way, or somebody changed it. Copy the artifact again"


def verify_file(path: Path, sha256: str, size_bytes: int) -> None:
    """Check that a file has the size and the hash that the manifest records.

    Raises: ArtifactMissing or ArtifactInvalid.
    """
    if not path.is_file():
        raise ArtifactMissing(f"{path} is missing, though the manifest names it. Copy the artifact again")
    found_bytes = path.stat().st_size
    if found_bytes != size_bytes:
        raise ArtifactInvalid(f"{path} has {found_bytes} bytes, the manifest says {size_bytes}. {CHANGED}")
    try:
        found_sha256 = sha256_of(path)
    except OSError as error:
        raise ArtifactInvalid(
            f"{path} cannot be read: {error.strerror}. Make it readable for the user of the server"
        ) from None
    if found_sha256 != sha256:
        raise ArtifactInvalid(f"{path} has SHA-256 {found_sha256}, the manifest says {sha256}. {CHANGED}")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
