"""The image of `--target openvino` answers questions without torch, and is small."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.engine import Container, engine, run_image

ROOT = Path(__file__).parents[2]
OPENVINO_IMAGE = "bert-qa-openvino-target"
ITEM = {"question": "Who built the lighthouse?", "context": "Zoë Müller built the lighthouse in 1871."}
MAX_MB = 520  # with a base image of 199 MB


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Build the target."""
    subprocess.run(
        ["make", "image", "TARGET=openvino", f"IMAGE={OPENVINO_IMAGE}"],
        cwd=ROOT,
        env=os.environ,
        check=True,
        timeout=1200,
    )
    yield OPENVINO_IMAGE
    engine("rmi", OPENVINO_IMAGE)


def test_it_answers_with_a_mounted_model(image: str, openvino_dir: Path) -> None:
    options = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{openvino_dir}:/opt/ml/model:ro")
    with Container(*options, image=image) as container:
        container.wait_for_ping()
        for precision in ("INT8", "FP32"):
            assert container.post(json={**ITEM, "version": precision}).json()["answer"] == "Zoë Müller"
        container.execute("/opt/program/entrypoint.sh", "healthcheck")


def test_it_contains_openvino_and_neither_torch_nor_tools(image: str) -> None:
    script = "ls /opt /opt/program; ls /opt/venv/lib/python3.*/site-packages"
    found = set(engine("run", "--rm", "--entrypoint", "/bin/sh", image, "-c", script).stdout.split())
    assert {"serve", "container", "model_loader", "openvino", "fastapi"} <= found
    assert not {"torch", "intel_extension_for_pytorch", "transformers", "nncf", "tools", "demo", "pip"} & found


def test_it_is_small(image: str) -> None:
    size_mb = int(engine("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6
    assert size_mb < MAX_MB


def test_a_model_of_the_other_engine_is_refused_with_the_reason(image: str, demo_dir: Path) -> None:
    ended = run_image("serve", options=("--volume", f"{demo_dir}:/opt/ml/model:ro"), image=image)
    assert ended.returncode == 70
    assert "it was made with torch 2.8.0" in ended.stdout
    assert "this machine has none" in ended.stdout
