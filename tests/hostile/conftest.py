"""Connections that are closed after each test, a copy of the demo artifact, and a check of every response."""

from collections.abc import Callable, Iterator

import pytest

from tests.described_responses import responses_are_as_described
from tests.hostile.raw_client import RawClient
from tools.local_server import LocalServer

__all__ = ["connect", "responses_are_as_described"]


@pytest.fixture
def connect() -> Iterator[Callable[..., RawClient]]:
    """Return a function that connects to a server; the connections are closed after the test."""
    opened: list[RawClient] = []

    def new(server: LocalServer, seconds: float = 60) -> RawClient:
        opened.append(RawClient(server, seconds))
        return opened[-1]

    yield new
    for client in opened:
        client.close()
