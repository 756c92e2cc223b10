"""What AWS knows about the endpoint now."""

import time
from typing import Any

from tools.deploy.deployment import Deployment
from tools.errors import ToolError
from tools.remote.aws import SAGEMAKER_NOT_FOUND

POLL_SECONDS = 10
# AWS needs minutes to provide an instance, and then the container has up to `startup_seconds`. AWS gives up earlier.
WAIT_SECONDS = 45 * 60
_FINAL_STATUSES = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


def describe_endpoint(deployment: Deployment) -> dict[str, Any] | None:
    """Return DescribeEndpoint's response, or None if the endpoint does not exist."""
    name = deployment.config.name
    response: dict[str, Any] | None = deployment.aws.find(
        "sagemaker", "DescribeEndpoint", SAGEMAKER_NOT_FOUND, EndpointName=name
    )
    return response


def describe_current_config(deployment: Deployment) -> dict[str, Any]:
    """Return DescribeEndpointConfig's response for the configuration that the endpoint uses now, or {} without one."""
    endpoint = describe_endpoint(deployment)
    if endpoint is None:
        return {}
    return describe_config(deployment, endpoint["EndpointConfigName"])


def describe_config(deployment: Deployment, name: str) -> dict[str, Any]:
    """Return DescribeEndpointConfig's response, or {} if there is no such configuration."""
    response = deployment.aws.find("sagemaker", "DescribeEndpointConfig", SAGEMAKER_NOT_FOUND, EndpointConfigName=name)
    return dict(response or {})


def is_foreign(deployment: Deployment, endpoint: dict[str, Any] | None) -> bool:
    """Return whether an endpoint, as `describe_endpoint` returns it, exists and belongs to somebody else."""
    return endpoint is not None and not deployment.ownership.is_our_sagemaker_resource(endpoint["EndpointArn"])


def wait_until_settled(deployment: Deployment) -> dict[str, Any] | None:
    """Wait until the endpoint is not being created, updated or deleted. Return None if it does not exist any more.

    Raises: ToolError after WAIT_SECONDS.
    """
    name, begin = deployment.config.name, time.monotonic()
    while time.monotonic() - begin < WAIT_SECONDS:
        endpoint = describe_endpoint(deployment)
        if endpoint is None or endpoint["EndpointStatus"] in _FINAL_STATUSES:
            return endpoint
        seconds = time.monotonic() - begin
        deployment.report(f"endpoint {name}: {endpoint['EndpointStatus']}, {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    raise ToolError(
        f"{name} is still not in service after {WAIT_SECONDS / 60:g} minutes: run the same command to wait again"
    )
