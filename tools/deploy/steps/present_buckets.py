"""The buckets that may hold artifacts of the deployment, although the command did not name them."""

from collections.abc import Iterator
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.preparation.bucket import bucket_exists
from tools.deploy.steps.preparation.named_resources import DENIED
from tools.deploy.steps.serving.models import ModelsStep
from tools.remote.aws import SAGEMAKER_NOT_FOUND, AwsError


def artifact_uri(model: dict[str, Any]) -> str:
    """Return where a model's artifact is in S3. `model` is DescribeModel's response."""
    container = model["PrimaryContainer"]
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(container.get("ModelDataUrl") or source["S3Uri"])


def views_by_bucket(deployment: Deployment) -> Iterator[Deployment]:
    """Yield the deployment, and the same deployment in the default bucket and in each bucket that a model names."""
    yield deployment
    seen = {deployment.names.bucket}
    default = deployment.with_values(bucket="")
    if default.names.bucket not in seen and _is_visible(default):
        seen.add(default.names.bucket)
        yield default
    for one in ModelsStep(deployment).list_ours():
        model = deployment.aws.find("sagemaker", "DescribeModel", SAGEMAKER_NOT_FOUND, ModelName=one["ModelName"])
        bucket = artifact_uri(model).removeprefix("s3://").partition("/")[0] if model else ""
        if bucket and bucket not in seen:
            seen.add(bucket)
            yield deployment.with_values(bucket=bucket)


def _is_visible(deployment: Deployment) -> bool:
    """Return whether the default bucket exists. A bucket that the caller may not look into counts as missing."""
    try:
        return bucket_exists(deployment)
    except AwsError as error:
        if error.code not in DENIED:
            raise
        return False
