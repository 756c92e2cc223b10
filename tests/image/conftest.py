"""One container for the tests that only ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.engine import ENGINE, IMAGE, Container


@pytest.fixture(scope="session", autouse=True)
def _image() -> None:
    if not (IMAGE and ENGINE):
        pytest.skip("IMAGE and CONTAINER_ENGINE are not set: `make test-image` builds the image and sets them")


@pytest.fixture(scope="session")
def mounted(demo_dir: Path) -> Iterator[Container]:
    """An artifact at /opt/ml/model, as SageMaker mounts it, and nothing that can be written but /tmp."""
    with Container("--read-only", "--tmpfs", "/tmp", "--volume", f"{demo_dir}:/opt/ml/model:ro") as container:
        yield container.wait_until_ready()
