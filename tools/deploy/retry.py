"""Requests that are repeated until AWS sees what an earlier request created.

Only the errors in this list are repeated. AccessDenied never is: the caller lacks a permission, and waiting is no help.
"""

import re
import time
from collections.abc import Mapping
from typing import Any

from tools.deploy.deployment import Deployment
from tools.remote.aws import AwsError

# Terraform's provider repeats CreateModel and RegisterScalableTarget for two minutes:
# https://github.com/hashicorp/terraform-provider-aws, internal/service/sagemaker and internal/service/appautoscaling
BUDGET_SECONDS = 120
POLL_SECONDS = 5

_ROLE = r"Could not assume role|Please ensure that the role .* exists and that its trust relationship policy allows"
# By operation: the code of AWS's error, and a pattern that its message contains.
NOT_YET_VISIBLE: dict[str, tuple[tuple[str, str], ...]] = {
    "PutRolePolicy": (("NoSuchEntity", "."),),
    "CreateModel": (
        ("ValidationException", _ROLE),
        ("ValidationException", r"does not have (ecr:)?BatchGetImage permission"),
    ),
    "CreateEndpointConfig": (("ValidationException", r"Could not find model"),),
    "CreateEndpoint": (("ValidationException", rf"Could not find endpoint config|{_ROLE}"),),
    "UpdateEndpoint": (("ValidationException", rf"Could not find endpoint config|{_ROLE}"),),
    "CreateTransformJob": (("ValidationException", rf"Could not find model|{_ROLE}"),),
    "RegisterScalableTarget": (("ValidationException", r"Unable to assume IAM role|No .*endpoint.* found"),),
    "PutScalingPolicy": (("ObjectNotFoundException", "."), ("ValidationException", r"Unable to assume IAM role")),
}
# Reasons of an endpoint that has failed because AWS did not see the permissions of its new role in time:
# https://github.com/aws/deep-learning-containers/issues/759
FAILED_TOO_EARLY = re.compile(rf"does not have (ecr:)?BatchGetImage permission|{_ROLE}")


def is_not_yet_visible(error: AwsError) -> bool:
    """Return whether AWS may accept the same request in a moment."""
    return any(
        error.code == code and re.search(pattern, error.message)
        for code, pattern in NOT_YET_VISIBLE.get(error.operation, ())
    )


def call_with_retry(deployment: Deployment, service: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send one request, and return the response.

    The request is repeated while AWS does not see what an earlier request created.

    Raises: AwsError.
    """
    deadline = time.monotonic() + BUDGET_SECONDS
    while True:
        try:
            return deployment.aws.call(service, operation, **request)
        except AwsError as error:
            if not is_not_yet_visible(error) or time.monotonic() > deadline:
                raise
            deployment.report(
                f"{operation}: AWS does not see the new resources yet ({error.message}). "
                f"The next attempt starts in {POLL_SECONDS} s."
            )
            time.sleep(POLL_SECONDS)
