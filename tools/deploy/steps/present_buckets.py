"""The buckets that the deployment's models were made from, although the command did not name them."""

from collections.abc import Iterator
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.serving.models import ModelsStep
from tools.remote.aws import SAGEMAKER_NOT_FOUND


def artifact_uri(model: dict[str, Any]) -> str:
    """Return where a model's artifact is in S3. `model` is DescribeModel's response."""
    container = model["PrimaryContainer"]
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(container.get("ModelDataUrl") or source["S3Uri"])


def views_by_bucket(deployment: Deployment) -> Iterator[Deployment]:
    """Yield the deployment, and the same deployment in each further bucket that holds the artifact of a model."""
    yield deployment
    seen = {deployment.names.bucket}
    for one in ModelsStep(deployment).list_ours():
        model = deployment.aws.find("sagemaker", "DescribeModel", SAGEMAKER_NOT_FOUND, ModelName=one["ModelName"])
        bucket = artifact_uri(model).removeprefix("s3://").partition("/")[0] if model else ""
        if bucket and bucket not in seen:
            seen.add(bucket)
            yield deployment.with_values(bucket=bucket)
