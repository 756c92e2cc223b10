"""The image of `--target serve` answers questions, contains only what serving needs, and says so to other commands."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.engine import Container, engine, run_image

ROOT = Path(__file__).parents[2]
SERVE_IMAGE = "bert-qa-serve-target"
ITEM = {"question": "Who built the lighthouse?", "context": "Zoë Müller built the lighthouse in 1871."}


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Build the target. Its layers below the program are those of the default target, which is already built."""
    subprocess.run(
        ["make", "image", "TARGET=serve", f"IMAGE={SERVE_IMAGE}"], cwd=ROOT, env=os.environ, check=True, timeout=1200
    )
    yield SERVE_IMAGE
    engine("rmi", SERVE_IMAGE)


def test_it_answers_with_a_mounted_model(image: str, demo_dir: Path) -> None:
    options = ("--read-only", "--tmpfs", "/tmp", "--volume", f"{demo_dir}:/opt/ml/model:ro")
    with Container(*options, image=image) as container:
        container.wait_for_ping()
        assert container.post(json=ITEM).json()["answer"] == "Zoë Müller"
        container.execute("/opt/program/entrypoint.sh", "healthcheck")


def test_it_contains_no_tools_and_none_of_their_packages(image: str) -> None:
    script = "ls /opt /opt/program; ls /opt/venv/lib/python3.*/site-packages"
    found = set(engine("run", "--rm", "--entrypoint", "/bin/sh", image, "-c", script).stdout.split())
    assert {"serve", "container", "model_loader", "torch", "fastapi", "intel_extension_for_pytorch"} <= found
    absent = {"tools", "demo", "transformers", "matplotlib", "rich", "aiohttp", "boto3", "pytest", "pip"}
    assert not absent & found


@pytest.mark.parametrize("tool", ["quantize", "evaluate", "benchmark"])
def test_a_tool_is_answered_with_what_to_do(image: str, tool: str) -> None:
    ended = run_image(tool, "--help", image=image)
    assert ended.returncode == 64
    assert ended.stderr.startswith(f"{tool} is not in this image, which was built with `--target`")


def test_an_unknown_command_shows_the_usage(image: str) -> None:
    ended = run_image("bash", image=image)
    assert (ended.returncode, ended.stderr) == (64, "usage: serve [--plan]\n")


def test_without_a_model_the_server_says_so(image: str) -> None:
    ended = run_image("serve", image=image)
    assert ended.returncode == 70
    assert "no model" in ended.stdout
