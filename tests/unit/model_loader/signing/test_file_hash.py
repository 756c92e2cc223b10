"""A file is the one that the manifest names if its size and its SHA-256 are equal."""

from pathlib import Path

import pytest

from model_loader.errors import ArtifactInvalid, ArtifactMissing
from model_loader.signing.file_hash import sha256_of, verify_file


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
