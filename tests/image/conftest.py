"""A container that several tests share. Without an image to test, all tests of this folder are skipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.engine import ENGINE, IMAGE, Container


@pytest.fixture(scope="session", autouse=True)
def _image() -> None:
    """Skip all tests of this folder unless `make test-image` runs them."""
    if not (IMAGE and ENGINE):
        pytest.skip("IMAGE and CONTAINER_ENGINE are not set; `make test-image` builds the image and sets them")


@pytest.fixture(scope="session")
def mounted(demo_dir: Path) -> Iterator[Container]:
    """Start a container with an artifact at /opt/ml/model, where SageMaker mounts it. Only /tmp can be written."""
    with Container("--read-only", "--tmpfs", "/tmp", "--volume", f"{demo_dir}:/opt/ml/model:ro") as container:
        yield container.wait_until_ready()
