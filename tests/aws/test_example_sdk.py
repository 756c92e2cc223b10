"""The examples for the SageMaker Python SDK: each version creates an endpoint on moto, which answers a question.

The programs run in environments of their own, as a user would run them.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from moto.sagemaker.responses import SageMakerResponse

from tests.aws.aws_account import INSTANCE, REGION, inventory
from tests.aws.example_environments import EXAMPLES, python_with

FOLDER = EXAMPLES / "sagemaker-sdk"
IMAGE = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/bert-qa:1"
MODEL_DATA = "s3://models/bert-qa/0123456789ab/model.tar.gz"
ROLE = "arn:aws:iam::123456789012:role/execution"


def run_example(version: str, home: Path) -> str:
    """Run the program as a user would, and return what it prints."""
    python = python_with(FOLDER / f"requirements-{version}.txt")
    command = [python, f"deploy_{version}.py", "--image-uri", IMAGE, "--model-data", MODEL_DATA, "--role", ROLE]
    aws = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
    environment = {**aws, "PATH": os.environ["PATH"], "HOME": str(home), "AWS_DEFAULT_REGION": REGION}
    done = subprocess.run(
        [*command, "--instance-type", INSTANCE],
        cwd=FOLDER, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def received(account: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The parameters of the requests that create something, as moto receives them."""
    seen: dict[str, Any] = {}
    for name in ("create_model", "create_endpoint_config"):
        create = getattr(SageMakerResponse, name)

        def keep(self: Any, name: str = name, create: Any = create) -> Any:
            seen[name] = json.loads(self.body)
            return create(self)

        monkeypatch.setattr(SageMakerResponse, name, keep)
    return seen


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_the_program_creates_an_endpoint_asks_it_and_removes_it(
    version: str, received: dict[str, Any], tmp_path: Path
) -> None:
    before = inventory()
    assert "Zoë Müller" in run_example(version, tmp_path)
    assert inventory() == before
    (variant,) = received["create_endpoint_config"]["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == (INSTANCE, 1)
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    model = received["create_model"]
    container = model["PrimaryContainer"]
    assert (container["Image"], container["ModelDataUrl"]) == (IMAGE, MODEL_DATA)
    assert container["Environment"]["PRECISIONS"] == "auto"
    assert (model["ExecutionRoleArn"], model["EnableNetworkIsolation"]) == (ROLE, True)
