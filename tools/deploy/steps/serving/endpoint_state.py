"""What AWS knows about the endpoint now."""

from typing import Any

from tools.deploy.deployment import Deployment
from tools.remote.aws import SAGEMAKER_NOT_FOUND


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
    name = endpoint["EndpointConfigName"]
    response = deployment.aws.find("sagemaker", "DescribeEndpointConfig", SAGEMAKER_NOT_FOUND, EndpointConfigName=name)
    return dict(response or {})


def is_foreign(deployment: Deployment, endpoint: dict[str, Any] | None) -> bool:
    """Return whether an endpoint, as `describe_endpoint` returns it, exists and belongs to somebody else."""
    return endpoint is not None and not deployment.ownership.is_our_sagemaker_resource(endpoint["EndpointArn"])
