"""How the body of POST /invocations reaches a container: by plain HTTP, or through the API of a platform."""

from collections.abc import Mapping
from typing import Protocol


class InvocationApi(Protocol):
    """The HTTP API that carries a body to a container, and the container's status back."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of one request. Called just before the request is sent, since a signature expires."""

    def status(self, status: int, content: bytes) -> int:
        """Return the container's status, which may be in the content of a response with another HTTP status."""


class PlainHttp:
    """An InvocationApi that adds nothing: the container itself is asked."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the media type alone."""
        return {"Content-Type": "application/json"}

    def status(self, status: int, content: bytes) -> int:
        """Return the HTTP status itself."""
        return status
