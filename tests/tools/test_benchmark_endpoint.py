"""The benchmark of a SageMaker endpoint: its API on localhost in front of the real server, its description in moto."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest

from tests.aws.aws_account import REGION
from tests.tools.command import run_tool
from tools.answers.endpoint import EndpointSource
from tools.remote.client import EndpointClient

BODY = json.dumps({"question": "Who built it?", "context": "Zoë Müller built it."}).encode()


@pytest.fixture
def deployed_endpoint(account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of an endpoint with two ml.c5.2xlarge instances in one variant, whose name is INT8."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    client = boto3.client("sagemaker")
    role, image = "arn:aws:iam::123456789012:role/x", {"Image": "x", "ModelDataUrl": "s3://x/model.tar.gz"}
    client.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=image)
    variant = {"VariantName": "INT8", "ModelName": "m", "InstanceType": "ml.c5.2xlarge", "InitialInstanceCount": 2}
    client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="bert-qa", EndpointConfigName="c")
    yield "bert-qa"
    client.close()


def test_an_endpoint_is_measured_at_the_price_of_its_instances(deployed_endpoint: str, tmp_path: Path) -> None:
    done = run_tool(
        "benchmark", "--endpoint", deployed_endpoint, "--load", "none", "--requests", 8, "--output", tmp_path
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert [(row["precision"], row["clients"]) for row in report["rows"]] == [
        *(("FP32", 1), ("INT8", 1)),
        *(("FP32", 16), ("INT8", 16)),  # two clients for each of the four cores of both instances
    ]
    for row in report["rows"]:
        assert (row["refused"], row["errors"]) == (0, {})
        assert row["dollars_per_million"] == pytest.approx(1e6 * 2 * 0.408 / 3600 / row["queries_per_second"])
    assert "$0.408 an hour, ml.c5.2xlarge in us-east-1" in done.stdout
    assert "2 instances" in done.stdout


def test_a_variant_with_the_name_of_a_precision_is_asked_in_that_precision(deployed_endpoint: str) -> None:
    source = EndpointSource(EndpointClient(deployed_endpoint), None)
    assert {precision: one.variant for precision, one in source.endpoints.items()} == {"INT8": "INT8", "FP32": None}
    assert (source.instance_type, source.instances) == ("ml.c5.2xlarge", 2)


def test_requests_are_signed_for_the_region_of_the_endpoint(deployed_endpoint: str) -> None:
    int8 = EndpointClient(deployed_endpoint).for_variant("INT8")
    url = f"{int8.url}/invocations"
    headers = int8.headers(url, BODY)
    assert "/eu-west-1/sagemaker/aws4_request, SignedHeaders=" in headers["Authorization"]
    assert headers["X-Amzn-SageMaker-Target-Variant"] == "INT8"
    answer = httpx.post(url, content=BODY, headers=dict(headers))
    assert answer.json()["answer"] == "Zoë Müller"
    assert answer.headers["x-amzn-invoked-production-variant"] == "INT8"
    assert httpx.post(url, content=BODY).status_code == 403


def test_the_containers_status_is_read_from_a_model_error() -> None:
    endpoint = EndpointClient("bert-qa", "eu-west-1")
    bodies = {status: json.dumps({"OriginalStatusCode": status}).encode() for status in (429, 422, 0)}
    assert [endpoint.status(424, body) for body in bodies.values()] == [429, 422, 424]
    assert endpoint.status(400, b"{}") == 400
    assert endpoint.status(424, b"no JSON") == 424
