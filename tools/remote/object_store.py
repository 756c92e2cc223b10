"""Objects by their s3:// URI, in S3 or in a local folder that replaces S3.

AWS_ENDPOINT_URL_S3 names another server than AWS's, as for all of boto3.
"""

import os
import stat
from pathlib import Path
from typing import Protocol

from tools.errors import ToolError

MAX_URI_CHARS = 1024  # the limit of SageMaker for the address of an object, and of S3 for a key, in bytes


class ObjectStore(Protocol):
    """Objects that can be read and written. Every method may raise ToolError."""

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object, which is refused before it is read if it has more than max_bytes."""

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of s3://bucket/key.

    Raises: ToolError if the text is not such a URI, or is longer than S3 allows.
    """
    if len(uri.encode(errors="replace")) > MAX_URI_CHARS:
        raise ToolError(f"{uri[:80]!r}... is longer than {MAX_URI_CHARS} bytes; S3 has no such object")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or not key:
        raise ToolError(f"{uri!r} is not the URI of an S3 object: write it as s3://bucket/key")
    return bucket, key


class S3Store:
    """The objects of S3."""

    def __init__(self) -> None:
        from tools.remote.aws import Aws  # Only this class needs boto3.

        self._aws = Aws()

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object, which is refused before it is read if it has more than max_bytes."""
        bucket, key = split_s3_uri(uri)
        found = self._aws.call("s3", "GetObject", Bucket=bucket, Key=key)
        _check_size(uri, found["ContentLength"], max_bytes)
        content: bytes = found["Body"].read()
        return content

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, key = split_s3_uri(uri)
        self._aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=content)


class FolderStore:
    """Files in place of objects: s3://bucket/key is the file `folder`/bucket/key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def read(self, uri: str, max_bytes: int) -> bytes:
        """Return the content of an object's file, which is refused before it is read if it has more than max_bytes."""
        path = self._path(uri)
        try:
            # Without O_NONBLOCK, opening a named pipe would wait for a writer.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise ToolError(f"cannot read {uri} at {path}: it is not a regular file")
                _check_size(uri, status.st_size, max_bytes)
                return file.read()
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
        bucket, key = split_s3_uri(uri)
        parts = [bucket, *key.split("/")]
        # Each of these is a key of its own in S3, but a folder would read another file in its place, or one outside.
        if not {"", ".", ".."}.isdisjoint(parts) or "\0" in uri:
            raise ToolError(f"{uri!r} cannot be a file in {self._folder}: a part of it is empty, '.' or '..'")
        path = self._folder.joinpath(*parts).resolve()
        if not path.is_relative_to(self._folder):
            raise ToolError(f"{uri} leads out of {self._folder}")
        return path


def _check_size(uri: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise ToolError(f"{uri} has {size_bytes} bytes, and {max_bytes} are allowed")
