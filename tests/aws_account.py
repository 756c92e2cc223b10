"""An AWS account on localhost, for the tests: moto's server, which speaks AWS's APIs over real HTTP, with state.

What moto lacks, UpdateEndpoint, is filled in here, at moto's own side of the wire.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import httpx
import pytest
from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
INSTANCE = "ml.c5.2xlarge"  # moto's list of types ends before ml.c6i


@contextmanager
def running(patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Gives its URL."""
    patch.setattr(SageMakerResponse, "update_endpoint", _update_endpoint, raising=False)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _update_endpoint(self: Any) -> ActionResult:
    """What moto lacks."""
    asked = json.loads(self.body)
    endpoint = self.sagemaker_backend.endpoints[asked["EndpointName"]]
    endpoint.endpoint_config_name = asked["EndpointConfigName"]
    return ActionResult({"EndpointArn": endpoint.arn})


def enter(moto: str, runtime: str, patch: pytest.MonkeyPatch) -> None:
    """Into an empty account: AWS's own variables name it. runtime: where InvokeEndpoint goes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        patch.setenv(name, "test")
    patch.setenv("AWS_ENDPOINT_URL", moto)
    patch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", runtime)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    httpx.post(f"{moto}/moto-api/reset").raise_for_status()


def inventory() -> dict[str, list[str]]:
    """Everything in the account, by AWS's own listing."""
    client: Callable[[str], Any] = lambda name: boto3.client(name, REGION)  # noqa: E731
    sagemaker, s3 = client("sagemaker"), client("s3")
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    objects = [one["Key"] for name in buckets for one in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    targets = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return {
        "buckets": buckets,
        "objects": objects,
        "repositories": [one["repositoryName"] for one in client("ecr").describe_repositories()["repositories"]],
        "roles": [one["RoleName"] for one in client("iam").list_roles()["Roles"]],
        "models": [one["ModelName"] for one in sagemaker.list_models()["Models"]],
        "configs": [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "endpoints": [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]],
        "targets": [one["ResourceId"] for one in targets["ScalableTargets"]],
        "alarms": [one["AlarmName"] for one in client("cloudwatch").describe_alarms()["MetricAlarms"]],
    }
