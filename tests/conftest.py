"""What all tests share: the demo artifact, and one real server process that serves it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tools.local_server import LocalServer

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def demo_dir() -> Path:
    """The artifact that `make test` quantizes from models/demo before it starts pytest."""
    directory = ROOT / "build" / "demo"
    if not (directory / "manifest.json").is_file():
        pytest.fail("build/demo is missing: run `make quantize`, or let `make test` do it", pytrace=False)
    return directory


@pytest.fixture(scope="session")
def server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A running server on the demo artifact, with its whole ladder warm."""
    log = tmp_path_factory.mktemp("server") / "log"
    with LocalServer(demo_dir, log=log) as running:
        running.wait_until_warm()
        yield running


@pytest.fixture(scope="session")
def client(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as connected:
        yield connected
