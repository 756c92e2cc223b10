"""The URIs of objects, and a folder in place of S3."""

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
        assert store.read("s3://bucket/a/key") == content
    assert (tmp_path / "bucket" / "a" / "key").read_bytes() == b"two"


def test_an_object_that_does_not_exist_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot read s3://bucket/key at .*: No such file or directory"):
        FolderStore(tmp_path).read("s3://bucket/key")


def test_a_uri_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "folder")
    with pytest.raises(ToolError, match="leads out of"):
        store.read("s3://../secret")
    with pytest.raises(ToolError, match="leads out of"):
        store.write("s3://bucket/../../secret", b"")
