"""What AWS holds with the permissions of the role after an endpoint is gone: network interfaces and grants of a key.

AWS releases both some minutes after DeleteEndpoint, and needs the role for it: "Do not delete or revoke the permissions
for your ExecutionRoleArn, otherwise SageMaker cannot delete these resources."
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteEndpoint.html
"""

import time
from collections.abc import Iterable
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.preparation.role_policy import CREATE_GRANT, CREATE_INTERFACE
from tools.errors import ToolError

RELEASE_SECONDS = 20 * 60  # "You might still see these resources in your account for a few minutes"
POLL_SECONDS = 10


def wait_until_released(deployment: Deployment, role_arn: str, statements: Iterable[dict[str, Any]]) -> None:
    """Wait until AWS holds nothing with these statements of the role's policy.

    Raises: ToolError after RELEASE_SECONDS.
    """
    waiting = list(statements)
    begin = time.monotonic()
    while held := [one for statement in waiting for one in _held(deployment, role_arn, statement)]:
        if time.monotonic() - begin > RELEASE_SECONDS:
            raise ToolError(
                f"AWS still holds {', '.join(held)} with the permissions of the role, so the role is kept: "
                "run the same command again later"
            )
        deployment.report(f"AWS still holds {', '.join(held)}, {time.monotonic() - begin:.0f} s")
        time.sleep(POLL_SECONDS)


def _held(deployment: Deployment, role_arn: str, statement: dict[str, Any]) -> list[str]:
    if statement["Action"] == [CREATE_INTERFACE]:
        return _interfaces(deployment, statement["Resource"])
    if statement["Action"] == [CREATE_GRANT]:
        return _grants(deployment, role_arn, statement["Resource"])
    return []


def _interfaces(deployment: Deployment, resources: list[str]) -> list[str]:
    """Return the network interfaces of SageMaker in these subnets and security groups."""
    subnets = [arn.partition(":subnet/")[2] for arn in resources if ":subnet/" in arn]
    groups = [arn.partition(":security-group/")[2] for arn in resources if ":security-group/" in arn]
    filters = [{"Name": "subnet-id", "Values": subnets}, {"Name": "group-id", "Values": groups}]
    found = deployment.aws.list_all("ec2", "DescribeNetworkInterfaces", "NetworkInterfaces", Filters=filters)
    return [
        one["NetworkInterfaceId"]
        for one in found
        if "sagemaker" in one.get("Description", "").lower()
        # SageMaker's studios and notebooks may share the subnets; their descriptions name them.
        and not any(word in one["Description"].lower() for word in ("studio", "notebook"))
    ]


def _grants(deployment: Deployment, role_arn: str, key: str) -> list[str]:
    """Return the grants of the key that SageMaker has with the role."""
    return [
        f"grant {grant['GrantId'][:12]} of {key}"
        for grant in deployment.aws.list_all("kms", "ListGrants", "Grants", KeyId=key)
        if role_arn in (grant.get("GranteePrincipal"), grant.get("RetiringPrincipal"), grant.get("Name"))
    ]
