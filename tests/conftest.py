"""The fixtures that all tests share: the demo artifact, a copy of it, and a real server process that serves it."""

import inspect
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest

from model_loader import manifest
from tests.artifacts import link
from tests.engines import needs_torch
from tests.server.server_process import PATIENT
from tests.tools.command import run_tool
from tests.tools.demo_files import CALIBRATION
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[1]
# Those that are built on them, such as `server`, are slow too.
SLOW_FIXTURES = {"demo_dir", "openvino_dir", "small_checkpoint", "relevance_checkpoint"}
SLOW_FILES = {"test_recovery.py"}  # wait for the heartbeat
HTTP_SECONDS = 60  # httpx gives up after 5 s, and a busy machine may hold up a server for longer


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --artifact and --fast."""
    parser.addoption(
        "--artifact",
        type=Path,
        help="directory of the artifact that the tests serve, made from models/demo (default: build/demo)",
    )
    parser.addoption(
        "--fast",
        action="store_true",
        help="leave out tests that need the demo artifact, a server, a checkpoint or a heartbeat",
    )


def pytest_configure() -> None:
    """Let the servers of the tests run each window alone, except in tests of batches.

    At its start a server measures whether batches pay, which costs about half a minute of CPU time. Many tests also
    compare logits exactly, and those of INT8 differ in a batch (decision 0013).
    """
    os.environ.setdefault("MAX_BATCH_WINDOWS", "1")
    _wait_long_for_responses()
    _take_the_same_examples_in_each_run()


def _wait_long_for_responses() -> None:
    """Raise the time limits of every request of httpx that names none of its own, also of those in LocalServer."""
    default = inspect.signature(httpx.Client).parameters["timeout"].default
    default.connect = default.read = default.write = default.pool = HTTP_SECONDS


def _take_the_same_examples_in_each_run() -> None:
    """Let no test of hypothesis fail because an example takes long, or because of examples that nobody has seen yet.

    SOAK=1 takes other examples in each run.
    """
    hypothesis.settings.register_profile(
        "tests",
        deadline=None,
        derandomize=not os.environ.get("SOAK"),
        database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out if --fast asks for that."""
    if config.getoption("--fast"):
        slow = [
            each
            for each in items
            if SLOW_FIXTURES & set(getattr(each, "fixturenames", ())) or each.path.name in SLOW_FILES
        ]
        config.hook.pytest_deselected(items=slow)
        items[:] = [each for each in items if each not in slow]


@pytest.fixture(scope="session")
def demo_dir(request: pytest.FixtureRequest) -> Path:
    """Return the directory of the demo artifact: --artifact, or the one that `make test` makes first."""
    given: Path | None = request.config.getoption("--artifact")
    directory = given.resolve() if given else ROOT / "build" / "demo"
    if not (directory / "manifest.json").is_file():
        hint = "" if given else "`make quantize` makes it, and so does `make test`"
        pytest.fail(f"{directory} has no manifest.json. {hint}", pytrace=False)
    return directory


@pytest.fixture
def artifact_copy(demo_dir: Path, tmp_path: Path) -> Path:
    """Copy the demo artifact. Its model files are hard links: use replace() instead of writing into them."""
    directory = tmp_path / "model"
    directory.mkdir()
    for file in demo_dir.iterdir():
        (link if file.suffix in {".pt", ".bin"} else shutil.copy)(file, directory / file.name)
    return directory


@pytest.fixture(scope="session")
def server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server with the demo artifact, and wait until its whole ladder is warm."""
    log = tmp_path_factory.mktemp("server") / "log"
    with LocalServer(demo_dir, log=log) as running:
        running.wait_until_warm()
        yield running


@pytest.fixture(scope="module")
def patient_server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server that accepts long documents on a busy machine too."""
    settings = {**PATIENT, "RUNG_STEP": "128", "GUARD_SHARE": "0"}
    with LocalServer(demo_dir, settings, log=tmp_path_factory.mktemp("patient") / "log") as running:
        running.wait_until_warm()
        yield running


@pytest.fixture(scope="session")
def client(server: LocalServer) -> Iterator[httpx.Client]:
    """Connect to the shared server."""
    with httpx.Client(base_url=server.url, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that writes a small checkpoint with random weights, in the format of the Hugging Face Hub."""
    torch = needs_torch()
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForQuestionAnswering,
        DistilBertConfig,
        DistilBertForQuestionAnswering,
        ElectraConfig,
        ElectraForQuestionAnswering,
    )

    def write(model_type: str) -> Path:
        directory = tmp_path_factory.mktemp(model_type)
        torch.manual_seed(0)
        if model_type == "electra":
            config = ElectraConfig(hidden_size=128, embedding_size=128, num_hidden_layers=2, intermediate_size=256)
            ElectraForQuestionAnswering(config).save_pretrained(directory)
        elif model_type == "bert":
            bert = BertConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256)
            BertForQuestionAnswering(bert).save_pretrained(directory)
        else:
            distil = DistilBertConfig(dim=128, n_layers=2, n_heads=4, hidden_dim=256)
            DistilBertForQuestionAnswering(distil).save_pretrained(directory)
        AutoTokenizer.from_pretrained(ROOT / "models" / "demo").save_pretrained(directory)
        return directory

    return write


@pytest.fixture(scope="session")
def openvino_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a demo artifact that OpenVINO runs: --artifact if it is one, or a new one."""
    given: Path | None = request.config.getoption("--artifact")
    if given and manifest.read(given).precisions["INT8"].engine == "openvino":
        return given.resolve()
    needs_torch()
    output = tmp_path_factory.mktemp("openvino") / "artifact"
    ended = run_tool(
        "quantize", "--engine", "openvino", "--model", ROOT / "models" / "demo", "--calibration", CALIBRATION,
        "--output", output, "--steps", 40,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return output


@pytest.fixture(scope="session")
def relevance_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a token-relevance checkpoint: the demo model's encoder with a head that is fitted to some questions."""
    needs_torch()
    from tests.relevance_checkpoint import write_relevance_checkpoint

    return write_relevance_checkpoint(tmp_path_factory.mktemp("relevance"), every=2)


@pytest.fixture(scope="session")
def relevance_dir(relevance_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an artifact of that checkpoint, whose windows are short, so that texts have several."""
    output = tmp_path_factory.mktemp("relevance") / "artifact"
    ended = run_tool(
        "quantize", "--model", relevance_checkpoint, "--calibration", CALIBRATION, "--evaluation", CALIBRATION,
        "--output", output, "--steps", 40, "--max-seq-len", 96, "--doc-stride", 24,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "is a token-relevance model (BertForTokenClassification): its class 1, 'RELEVANT'" in ended.stdout
    assert "--evaluation measures the F1 of answers, which a token-relevance model does not have" in ended.stdout
    return output


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """moto's server."""
    from tests.aws import aws_account  # takes a second to import, which most tests do not need

    with pytest.MonkeyPatch.context() as patch, aws_account.running(patch) as url:
        yield url


@pytest.fixture
def account(moto: str, server: LocalServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty AWS account, in whose endpoints the server answers, and a container engine that pushes into its ECR."""
    from tests.aws import aws_account
    from tools.remote.local_endpoint import running

    with running(server.url) as runtime:
        aws_account.enter(moto, runtime, monkeypatch)
        aws_account.install_engine(tmp_path / "bin", monkeypatch)
        yield
