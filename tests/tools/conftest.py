"""Fixtures for the tests of several commands."""

from collections.abc import Iterator

import pytest

from tools.local_server import LocalServer
from tools.remote.local_endpoint import running


@pytest.fixture
def local_endpoint(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """SageMaker Runtime's API in front of the server, under any endpoint name; its URL. DescribeEndpoint fails."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with running(server.url) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        yield url
