"""The URIs of objects, and a folder in place of S3."""

import os
from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.remote.object_store import FolderStore, split_s3_uri


def test_a_uri_is_split_into_bucket_and_key() -> None:
    assert split_s3_uri("s3://bucket/a/key") == ("bucket", "a/key")


@pytest.mark.parametrize("uri", ["", "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "https://bucket/key"])
def test_what_is_not_the_uri_of_an_object_is_refused(uri: str) -> None:
    with pytest.raises(ToolError, match="is not the URI of an S3 object: write it as s3://bucket/key"):
        split_s3_uri(uri)


def test_an_object_in_a_folder_can_be_written_replaced_and_read(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for content in (b"one", b"two"):
        store.write("s3://bucket/a/key", content)
        assert store.read("s3://bucket/a/key", max_bytes=3) == content
    assert (tmp_path / "bucket" / "a" / "key").read_bytes() == b"two"


def test_an_object_that_does_not_exist_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot read s3://bucket/key at .*: No such file or directory"):
        FolderStore(tmp_path).read("s3://bucket/key", 10)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://../secret", "s3://./secret", "s3://bucket/../../secret", "s3://bucket/a/../key", "s3://bucket//key",
        "s3://bucket/key/", "s3://bucket/./key", "s3://bucket/ke\0y",
    ],
)  # fmt: skip
def test_a_uri_that_would_be_another_file_is_refused(tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    store = FolderStore(tmp_path / "folder")
    store.write("s3://bucket/key", b"x")
    with pytest.raises(ToolError, match="cannot be a file in"):
        store.read(uri, 10)
    with pytest.raises(ToolError, match="cannot be a file in"):
        store.write(uri, b"")


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder" / "bucket").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "folder" / "bucket" / "key").symlink_to(tmp_path / "secret")
    with pytest.raises(ToolError, match="leads out of"):
        FolderStore(tmp_path / "folder").read("s3://bucket/key", 10)


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "bucket" / "folder").mkdir(parents=True)
    os.mkfifo(tmp_path / "bucket" / "pipe")
    for key, reason in (("folder", "Is a directory"), ("pipe", "not a regular file"), ("x" * 300, "name too long")):
        with pytest.raises(ToolError, match=f"cannot read .*{reason}"):
            FolderStore(tmp_path).read(f"s3://bucket/{key}", 10)


def test_an_object_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    with (tmp_path / "bucket" / "key").open("wb") as file:
        file.truncate(10**12)  # a sparse file, which takes no space on the disk
    with pytest.raises(ToolError, match="has 1000000000000 bytes, and 1000 are allowed"):
        FolderStore(tmp_path).read("s3://bucket/key", 1000)


def test_a_uri_that_is_too_long_is_refused() -> None:
    assert split_s3_uri("s3://bucket/" + "x" * 1012)
    with pytest.raises(ToolError, match="longer than 1024 bytes"):
        split_s3_uri("s3://bucket/" + "x" * 1013)
