"""Requests to SageMaker that are repeated until AWS sees what an earlier request created."""

import time
from collections.abc import Mapping
from typing import Any

from tools.deploy.deployment import Deployment
from tools.remote.aws import AwsError

# AWS needs a moment until a new resource is visible everywhere. CreateModel may not see the role yet, and
# CreateEndpoint may not see the endpoint configuration. The first text stands for "assume" and "Assume".
NOT_YET_VISIBLE = ("ssume", "Could not access model data", "Could not find endpoint config", "Could not find model")
RETRY_SECONDS = 60
POLL_SECONDS = 5


def call_with_retry(deployment: Deployment, operation: str, request: Mapping[str, Any]) -> None:
    """Send one request to SageMaker, and repeat it while AWS does not see what the previous step created.

    Raises: AwsError.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            deployment.aws.call("sagemaker", operation, **request)
            return
        except AwsError as error:
            if not any(text in error.message for text in NOT_YET_VISIBLE) or time.monotonic() > deadline:
                raise
            deployment.report(
                f"{operation}: AWS does not see the new resources yet ({error.message}). "
                f"The next attempt starts in {POLL_SECONDS} s."
            )
            time.sleep(POLL_SECONDS)
