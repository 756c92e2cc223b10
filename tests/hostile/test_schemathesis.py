"""schemathesis sends requests that follow /openapi.json and others that do not, and compares the responses with it.

It runs as a command, with all of its checks and phases. SOAK=1 sends 10,000 requests to each server, not hundreds.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hostile.catalogue import question, request
from tests.hostile.exchange import exchange
from tests.server.questions import ANSWER
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[2]
REQUESTS = 10_000 if os.environ.get("SOAK") else 300
CONFIG = """
[[operations]]
include-path = "/models/{model_name}/invoke"
parameters = { "path.model_name" = "first" }  # a random name would only get 404

[[operations]]
include-path = "/v1/models/{model_name}:predict"
parameters = { "path.model_name" = "bert-qa" }
"""
METHODS = {"get", "put", "post", "delete", "patch"}
OPTIONS = [
    *("--checks", "all"),
    *("--exclude-checks", "positive_data_acceptance"),  # valid_data_is_accepted takes its place
    *("--mode", "all"),
    *("--phases", "examples,coverage,fuzzing,stateful"),
    *("--suppress-health-check", "all"),  # they concern the speed of the generator, not the server
    *("--request-timeout", "60"),
    *("--seed", "0"),
    "--generation-deterministic",
    "--continue-on-failure",
    "--no-shrink",
]


@pytest.fixture(scope="module")
def endpoint(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a multi-model endpoint whose model is called `first`."""
    folder = tmp_path_factory.mktemp("endpoint")
    with LocalServer(folder / "nothing", {"SAGEMAKER_MULTI_MODEL": "true"}, folder / "log") as server:
        load(server, demo_dir)
        yield server


def load(server: LocalServer, model_dir: Path) -> None:
    """Load the model `first`, unless it is loaded."""
    response = httpx.post(f"{server.url}/models", json={"model_name": "first", "url": str(model_dir)}, timeout=120)
    assert response.status_code in (200, 409)


def operations(server: LocalServer) -> int:
    """Return how many operations the description of a server has."""
    paths: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    return sum(len(METHODS & set(path)) for path in paths.values())


def search_path() -> str:
    """Return a PYTHONPATH that contains this project and everything that this process can import."""
    return os.pathsep.join([str(ROOT), *filter(None, sys.path)])


def fuzz(server: LocalServer, folder: Path) -> int:
    """Run schemathesis against a server; return the number of requests that it sent."""
    examples = -(-REQUESTS // operations(server))
    arguments = ["--max-examples", str(examples), "--report-ndjson-path", "events.ndjson", "--report", "ndjson"]
    (folder / "schemathesis.toml").write_text(CONFIG)
    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", *OPTIONS, *arguments],
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.hostile.schemathesis_checks", "PYTHONPATH": search_path()},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    events = (json.loads(line) for line in (folder / "events.ndjson").read_text().splitlines())
    return sum(
        len(event["ScenarioFinished"]["recorder"].get("cases", ())) for event in events if "ScenarioFinished" in event
    )


def test_every_response_of_a_server_with_one_model_is_as_described(server: LocalServer, tmp_path: Path) -> None:
    assert fuzz(server, tmp_path) >= REQUESTS
    (answer,) = exchange(server.port, request(question()))
    assert (answer.status, answer.json()["answer"]) == (200, ANSWER)


def test_every_response_of_a_multi_model_endpoint_is_as_described(
    endpoint: LocalServer, demo_dir: Path, tmp_path: Path
) -> None:
    assert fuzz(endpoint, tmp_path) >= REQUESTS
    load(endpoint, demo_dir)  # schemathesis unloads the models that the server lists
    (answer,) = exchange(endpoint.port, request(question(), path="/models/first/invoke"))
    assert (answer.status, answer.json()["answer"]) == (200, ANSWER)
