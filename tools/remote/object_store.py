"""Objects by their s3:// URI, in S3 or in a local folder that replaces S3.

AWS_ENDPOINT_URL_S3 names another server than AWS's, as for all of boto3.
"""

from pathlib import Path
from typing import Protocol

from tools.errors import ToolError


class ObjectStore(Protocol):
    """Objects that can be read and written. Every method may raise ToolError."""

    def read(self, uri: str) -> bytes:
        """Return the content of an object."""

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of s3://bucket/key.

    Raises: ToolError if the text is not such a URI.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise ToolError(f"{uri!r} is not the URI of an S3 object: write it as s3://bucket/key")
    return bucket, key


class S3Store:
    """The objects of S3."""

    def __init__(self) -> None:
        from tools.remote.aws import Aws  # Only this class needs boto3.

        self._aws = Aws()

    def read(self, uri: str) -> bytes:
        """Return the content of an object."""
        bucket, key = split_s3_uri(uri)
        content: bytes = self._aws.call("s3", "GetObject", Bucket=bucket, Key=key)["Body"].read()
        return content

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, key = split_s3_uri(uri)
        self._aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=content)


class FolderStore:
    """Files in place of objects: s3://bucket/key is the file `folder`/bucket/key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def read(self, uri: str) -> bytes:
        """Return the content of an object's file."""
        path = self._path(uri)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ToolError(f"cannot read {uri} at {path}: {error.strerror}") from None

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object's file."""
        path = self._path(uri)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            partial.write_bytes(content)
            partial.replace(path)  # Readers that wait for the file never see an incomplete one.
        except OSError as error:
            raise ToolError(f"cannot write {uri} at {path}: {error.strerror}") from None

    def _path(self, uri: str) -> Path:
        path = self._folder.joinpath(*split_s3_uri(uri)).resolve()
        if not path.is_relative_to(self._folder):
            raise ToolError(f"{uri} leads out of {self._folder}")
        return path
