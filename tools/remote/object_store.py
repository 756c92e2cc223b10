"""Objects by their s3:// address: in S3 (or what AWS_ENDPOINT_URL_S3 names), or in a folder that stands in for it."""

from pathlib import Path
from typing import Protocol

from tools.errors import ToolError


class ObjectStore(Protocol):
    """Every member may raise ToolError."""

    def read(self, uri: str) -> bytes:
        """The object's bytes."""

    def write(self, uri: str, content: bytes) -> None:
        """Make or replace the object."""


def split(uri: str) -> tuple[str, str]:
    """s3://bucket/key -> bucket, key.

    Raises: ToolError.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise ToolError(f"{uri!r} is no address of an object: it must be like s3://bucket/key")
    return bucket, key


class S3:
    """The real one, or moto's."""

    def __init__(self) -> None:
        from tools.remote.aws import Aws  # boto3 is needed for this alone

        self._aws = Aws()

    def read(self, uri: str) -> bytes:
        """As ObjectStore says."""
        bucket, key = split(uri)
        content: bytes = self._aws.call("s3", "GetObject", Bucket=bucket, Key=key)["Body"].read()
        return content

    def write(self, uri: str, content: bytes) -> None:
        """As ObjectStore says."""
        bucket, key = split(uri)
        self._aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=content)


class Folder:
    """s3://bucket/key is the file folder/bucket/key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def read(self, uri: str) -> bytes:
        """As ObjectStore says."""
        path = self._path(uri)
        try:
            return path.read_bytes()
        except OSError as error:
            raise ToolError(f"cannot read {uri} at {path}: {error.strerror}") from None

    def write(self, uri: str, content: bytes) -> None:
        """As ObjectStore says."""
        path = self._path(uri)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            partial.write_bytes(content)
            partial.replace(path)  # who waits for the file never sees half of it
        except OSError as error:
            raise ToolError(f"cannot write {uri} at {path}: {error.strerror}") from None

    def _path(self, uri: str) -> Path:
        path = self._folder.joinpath(*split(uri)).resolve()
        if not path.is_relative_to(self._folder):
            raise ToolError(f"{uri} leads out of {self._folder}")
        return path
