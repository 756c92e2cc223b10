"""A multi-model server whose model was loaded, asked and unloaded with the commands of its page."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import pages
from tools.local_server import LocalServer

PAGE = pages.DOCS / "batch-and-multi-model.md"


@pytest.fixture(scope="session")
def multi_model_server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A multi-model server after the commands of its page: no model is loaded any more."""
    folder = tmp_path_factory.mktemp("multi_model")
    assert demo_dir == pages.ROOT / "build" / "demo"  # as in the page's command
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        yield server


@pytest.fixture(scope="session")
def multi_model_answers(multi_model_server: LocalServer) -> list[str]:
    """What the page's curl commands print, in their order."""
    curls = [line for line in pages.commands(PAGE.read_text()) if line.startswith("curl ")]
    outputs = []
    for command in curls:
        here = command.replace("localhost:8080", multi_model_server.url)
        ran = subprocess.run(here, shell=True, cwd=pages.ROOT, capture_output=True, text=True, check=True)
        outputs.append(ran.stdout)
    return outputs
