"""The installed container engine and a registry on localhost: pushed images can be pulled, and errors are reported."""

import base64
import io
import json
import os
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.aws.registry import PASSWORD, USER, Registry, running
from tools.deploy.container_image.engine import ContainerEngine
from tools.deploy.container_image.registry_login import temporary_login
from tools.deploy.steps.preparation.image_format import DOCKER_MANIFEST
from tools.errors import ToolError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine() -> ContainerEngine:
    try:
        return ContainerEngine.find()
    except ToolError as error:
        pytest.skip(str(error))


@pytest.fixture
def registry(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with running(engine, monkeypatch) as started:
        yield started


@pytest.fixture
def image(engine: ContainerEngine, tmp_path: Path) -> Iterator[str]:
    """A new image that holds one small file with random content."""
    content, name = uuid.uuid4().bytes, f"localhost/bert-qa-test:{uuid.uuid4().hex[:8]}"
    with tarfile.open(tmp_path / "root.tar", "w") as root:
        header = tarfile.TarInfo("file")
        header.size = len(content)
        root.addfile(header, io.BytesIO(content))
    command(engine, "import", str(tmp_path / "root.tar"), name)
    yield name
    subprocess.run(
        [engine.command, "rmi", name], capture_output=True
    )  # fails if the test has removed the image already


def command(engine: ContainerEngine, *arguments: str) -> None:
    done = subprocess.run([engine.command, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_pushed_image_can_be_pulled_by_its_digest(engine: ContainerEngine, registry: Registry, image: str) -> None:
    assert httpx.get(f"http://{registry.host}/v2/").status_code == 401  # the registry asks for a password
    engine.push(image, f"{registry.host}/bert-qa:one", user=USER, password=PASSWORD)
    assert registry.tags("bert-qa") == ["one"]
    pushed = f"{registry.host}/bert-qa@{registry.digest('bert-qa', 'one')}"
    image_id = engine.image_id(image)
    command(engine, "rmi", image)
    with temporary_login(registry.host, USER, PASSWORD) as environment:
        subprocess.run([engine.command, "pull", pushed], capture_output=True, check=True, env=environment)
    assert engine.image_id(pushed) == image_id
    command(engine, "rmi", pushed)


def test_make_image_builds_an_image_in_the_format_that_sagemaker_accepts(
    engine: ContainerEngine, registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    uri = f"{registry.host}/bert-qa:made"
    make = ["make", "-f", str(ROOT / "Makefile"), "image", f"IMAGE={uri}", f"CONTAINER_ENGINE={engine.command}"]
    subprocess.run(make, cwd=tmp_path, check=True, env={**os.environ, "BUILDAH_ISOLATION": "chroot"})
    engine.push(uri, uri, user=USER, password=PASSWORD)
    assert registry.media_type("bert-qa", "made") == DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ("--output --provenance", "--provenance=false --output=type=docker,oci-mediatypes=false -t"),
        ("--output", "build --output=type=docker,oci-mediatypes=false -t"),
        ("", "build -t"),
        ("podman", "--format docker -t"),
    ],
    ids=["buildx", "buildx 0.9", "without buildx", "podman under the name docker"],
)
def test_make_image_uses_the_options_that_the_engine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lists: str, expected: str
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho {lists}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TORCH_INDEX_URL", "")
    monkeypatch.delenv("TORCH_INDEX_URL")
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    done = subprocess.run(
        ["make", "-n", "-f", str(ROOT / "Makefile"), "image", "CONTAINER_ENGINE=docker"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert expected in " ".join(done.stdout.split())


def test_a_push_leaves_no_further_name_on_the_image(engine: ContainerEngine, registry: Registry, image: str) -> None:
    uri, before = f"{registry.host}/bert-qa:one", engine._names(image)
    engine.push(image, uri, user=USER, password=PASSWORD)
    assert engine._names(image) == before
    with pytest.raises(ToolError, match=r"push .* failed"):
        engine.push(image, uri, user=USER, password="wrong horse")
    assert engine._names(image) == before


def test_a_push_to_a_registry_that_does_not_answer_leaves_no_further_name(engine: ContainerEngine, image: str) -> None:
    before = engine._names(image)
    assert len(before) == 1
    with pytest.raises(ToolError, match=r"push .* failed"):
        engine.push(image, "localhost:1/bert-qa:one")
    assert engine._names(image) == before


def test_a_push_keeps_an_image_without_another_name(engine: ContainerEngine, registry: Registry, image: str) -> None:
    identifier = engine.image_id(image)
    command(engine, "tag", image, f"{registry.host}/bert-qa:named")
    command(engine, "rmi", image)
    engine.push(identifier, f"{registry.host}/bert-qa:named", user=USER, password=PASSWORD)
    assert engine.image_id(identifier) == identifier
    command(engine, "rmi", f"{registry.host}/bert-qa:named")


def test_a_second_push_changes_nothing(engine: ContainerEngine, registry: Registry, image: str) -> None:
    uri = f"{registry.host}/bert-qa:one"
    engine.push(image, uri, user=USER, password=PASSWORD)
    before = registry.digest("bert-qa", "one")
    engine.push(image, uri, user=USER, password=PASSWORD)
    assert (registry.tags("bert-qa"), registry.digest("bert-qa", "one")) == (["one"], before)


def test_a_wrong_password_gives_an_error_after_the_message_of_the_engine(
    engine: ContainerEngine, registry: Registry, image: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ToolError, match=r"push .* failed") as raised:
        engine.push(image, f"{registry.host}/bert-qa:one", user=USER, password="wrong horse")
    shown = "".join(capfd.readouterr())
    assert re.search("(?i)unauthorized|authentication required|invalid username/password", shown)
    assert "wrong horse" not in str(raised.value) + shown
    assert registry.tags("bert-qa") == []


def test_a_push_works_with_a_credential_helper_and_leaves_the_users_credentials_alone(
    engine: ContainerEngine, registry: Registry, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"credsStore": "ecr-login", "credHelpers": {registry.host: "ecr-login"}, "proxies": {}}
    (tmp_path / "docker").mkdir()
    file = tmp_path / "docker" / "config.json"
    file.write_text(json.dumps(own))
    monkeypatch.setenv("DOCKER_CONFIG", str(file.parent))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
    engine.push(image, f"{registry.host}/bert-qa:one", user=USER, password=PASSWORD)
    assert registry.tags("bert-qa") == ["one"]
    assert json.loads(file.read_text()) == own
    assert not (tmp_path / "auth.json").exists()


def test_the_temporary_configuration_keeps_all_but_the_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"credsStore": "desktop", "auths": {"other": {}}, "currentContext": "remote", "proxies": {"default": {}}}
    (tmp_path / "contexts").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(own))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with temporary_login("registry.example", "AWS", "secret") as environment:
        folder = Path(environment["DOCKER_CONFIG"])
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "contexts").resolve() == tmp_path / "contexts"
        config = json.loads((folder / "config.json").read_text())
    assert not folder.exists()
    auths = config.pop("auths")
    assert base64.b64decode(auths["registry.example"]["auth"]) == b"AWS:secret"
    assert config == {"currentContext": "remote", "proxies": {"default": {}}}


def test_a_configuration_of_docker_that_is_not_json_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(ToolError, match="config.json cannot be used"), temporary_login("r", "u", "p"):
        pass


def test_the_error_for_a_refused_push_names_the_command(
    engine: ContainerEngine, registry: Registry, image: str
) -> None:
    uri = f"{registry.host}/bert-qa:one"
    with pytest.raises(ToolError, match=rf"`{engine.command} push {uri}` failed"):
        engine.push(image, uri)  # without a login
    assert registry.tags("bert-qa") == []


def test_the_error_for_a_missing_image_says_how_to_build_it(engine: ContainerEngine) -> None:
    with pytest.raises(ToolError, match="`make image IMAGE=bert-qa-none`"):
        engine.image_id("bert-qa-none")


def test_the_error_for_a_missing_engine_names_it() -> None:
    with pytest.raises(ToolError, match="no-such-engine: not installed or not running"):
        ContainerEngine.find("no-such-engine")
