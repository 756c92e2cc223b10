"""The commands of `deploy` create, update and remove an endpoint that really answers.

moto's server stands in for AWS. Its ECR is a registry on localhost, and its SageMaker runs containers of the image with
the artifact that was uploaded.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from tests.artifacts import edit_manifest
from tests.aws import aws_account, registry
from tests.aws.aws_account import INSTANCE, REGION, inventory
from tests.aws.registry import PASSWORD, USER, Registry
from tests.image.engine import ENGINE, IMAGE
from tests.image.hosting import Hosting, connect
from tools.deploy.container_image.engine import ContainerEngine
from tools.remote import local_endpoint

ROOT = Path(__file__).parents[2]
PUSH_GB = 20  # the layers of the image, compressed, once for the engine and once in the registry
CONTEXT = "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller."
QUESTION = ["--question", "Who built the lighthouse?", "--context", CONTEXT]


@pytest.fixture
def hosting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hosting]:
    """Set up an empty account whose endpoints are containers."""
    started = Hosting(tmp_path)
    with aws_account.running(monkeypatch) as moto, local_endpoint.running(started.url) as runtime:
        aws_account.enter(moto, runtime, monkeypatch)
        connect(started, monkeypatch)
        yield started
        started.stop()


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Start a registry, and make ECR return the address and the password of this registry."""
    if (free_gb := shutil.disk_usage("/var/tmp").free / 1e9) < PUSH_GB:
        pytest.skip(f"a push needs {PUSH_GB} GB in /var/tmp, and {free_gb:.0f} GB are free")
    describe_images = ECRResponse.describe_images

    def get_authorization_token(self: Any) -> ActionResult:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        found = {"authorizationToken": token, "proxyEndpoint": f"http://{started.host}"}
        return ActionResult({"authorizationData": [found]})

    def described(self: Any) -> ActionResult:
        (wanted,) = self._get_param("imageIds")
        if wanted["imageTag"] in started.tags(self._get_param("repositoryName")):
            return ActionResult({"imageDetails": [{"imageTags": [wanted["imageTag"]]}]})
        return describe_images(self)

    with registry.running(ContainerEngine(ENGINE), monkeypatch) as started:
        monkeypatch.setattr(ECRResponse, "get_authorization_token", get_authorization_token)
        monkeypatch.setattr(ECRResponse, "describe_images", described)
        yield started


@pytest.fixture
def config(demo_dir: Path, tmp_path: Path) -> Path:
    """Write a deploy.toml."""
    path = tmp_path / "deploy.toml"
    values = {"region": REGION, "instance": INSTANCE, "model_dir": str(demo_dir), "engine": ENGINE, "image": IMAGE}
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return path


@pytest.fixture
def fp32(demo_dir: Path, tmp_path: Path) -> Path:
    """Make a second artifact: the demo artifact with FP32 only."""
    directory = Path(shutil.copytree(demo_dir, tmp_path / "fp32"))
    edit_manifest(directory, lambda manifest: manifest.update(precisions={"FP32": manifest["precisions"]["FP32"]}))
    for path in directory.glob("model_*.pt"):
        if path.name != "model_fp32.pt":
            path.unlink()
    return directory


def command(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool in the way a user does."""
    line = [sys.executable, "-m", f"tools.{tool}", *arguments]
    return subprocess.run(line, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def done(tool: str, *arguments: str) -> str:
    """Run a tool that must succeed, and return what it prints."""
    ended = command(tool, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def ask() -> dict[str, Any]:
    """Ask the endpoint, and return its answer."""
    answer: dict[str, Any] = json.loads(
        done("invoke", "--endpoint", "bert-qa", "--region", REGION, "--json", *QUESTION)
    )
    return answer


def run_all_commands(hosting: Hosting, config: Path, fp32: Path, *flags: str) -> dict[str, list[str]]:
    """Run plan, up, status, a question, an update and down. Return what the first up created."""
    given = ("--config", str(config), *flags)
    before = inventory()
    assert "create bert-qa, realtime" in done("deploy", "plan", *given)
    assert inventory() == before

    assert "Zoë Müller (INT8" in done("deploy", "up", *given)
    made = inventory()
    assert "endpoint bert-qa (InService)" in done("deploy", "status", *given)
    answer = ask()
    assert (answer["answer"], answer["version"]) == ("Zoë Müller", "INT8")
    assert inventory() == made

    done("deploy", "up", *given, "--model-dir", str(fp32))
    updated = inventory()
    kept = {"models": 2, "configs": 2, "objects": 2}  # for rollback
    counts = {kind: len(names) for kind, names in made.items()}
    assert {kind: len(names) for kind, names in updated.items()} == {**counts, **kept}
    assert updated["objects"] != made["objects"]
    answer = ask()
    assert (answer["answer"], answer["version"]) == ("Zoë Müller", "FP32")

    unsure = command("deploy", "down", *given)
    assert (unsure.returncode, inventory()) == (1, updated)
    assert "endpoint bert-qa (InService)" in unsure.stdout
    done("deploy", "down", *given, "--yes")
    assert inventory() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{hosting.url}/ping")
    return made


def test_an_endpoint_with_an_image_that_is_already_in_ecr(hosting: Hosting, config: Path, fp32: Path) -> None:
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/my-images:one"
    ecr = boto3.client("ecr", REGION)
    ecr.create_repository(repositoryName="my-images")
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    ecr.put_image(repositoryName="my-images", imageManifest=json.dumps(manifest), imageTag="one")
    made = run_all_commands(hosting, config, fp32, "--image-uri", uri)
    assert hosting.images == [uri, uri]
    assert made["repositories"] == ["my-images"]


def test_an_endpoint_with_an_image_that_is_pushed(hosting: Hosting, ecr: Registry, config: Path, fp32: Path) -> None:
    """This pushes the whole image, so it takes minutes, and gigabytes of disk until it ends."""
    made = run_all_commands(hosting, config, fp32)
    assert made["repositories"] == ["bert-qa"]
    (tag,) = ecr.tags("bert-qa")
    assert ContainerEngine(ENGINE).image_id(IMAGE).startswith(tag)
    assert hosting.images == [f"{ecr.host}/bert-qa:{tag}"] * 2
