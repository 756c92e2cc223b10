"""The installed container engine and a registry on localhost: pushed images can be pulled, and errors are reported."""

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.aws.registry import PASSWORD, USER, Registry, running
from tools.deploy.container_engine import ContainerEngine
from tools.errors import ToolError


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
    command(engine, "rmi", f"{registry.host}/bert-qa:one", image)
    command(engine, "pull", pushed)
    assert engine.image_id(pushed) == image_id
    command(engine, "rmi", pushed)


def test_a_second_push_changes_nothing(engine: ContainerEngine, registry: Registry, image: str) -> None:
    uri = f"{registry.host}/bert-qa:one"
    engine.push(image, uri, user=USER, password=PASSWORD)
    before = registry.digest("bert-qa", "one")
    engine.push(image, uri, user=USER, password=PASSWORD)
    assert (registry.tags("bert-qa"), registry.digest("bert-qa", "one")) == (["one"], before)


def test_a_wrong_password_gives_an_error_with_the_message_of_the_engine(
    engine: ContainerEngine, registry: Registry, image: str
) -> None:
    with pytest.raises(ToolError, match=r"login.* failed: .*(?i:unauthorized|invalid username/password)") as raised:
        engine.push(image, f"{registry.host}/bert-qa:one", user=USER, password="wrong horse")
    assert "wrong horse" not in str(raised.value)
    assert registry.tags("bert-qa") == []


def test_the_error_for_a_refused_push_names_the_command(
    engine: ContainerEngine, registry: Registry, image: str
) -> None:
    uri = f"{registry.host}/bert-qa:one"
    with pytest.raises(ToolError, match=rf"`{engine.command} push {uri}` failed"):
        engine.push(image, uri)  # without a login
    assert registry.tags("bert-qa") == []


def test_the_error_for_a_missing_image_says_how_to_build_it(engine: ContainerEngine) -> None:
    with pytest.raises(ToolError, match=rf"`{engine.command} build -t bert-qa-none \.`"):
        engine.image_id("bert-qa-none")


def test_the_error_for_a_missing_engine_names_it() -> None:
    with pytest.raises(ToolError, match="no-such-engine: not installed or not running"):
        ContainerEngine.find("no-such-engine")
