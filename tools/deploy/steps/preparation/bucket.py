"""The step for the S3 bucket."""

from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource, ResourceKept
from tools.deploy.steps.step import Step
from tools.errors import ToolError
from tools.remote.aws import AwsError

_NOT_TAGGED = ("NoSuchTagSet", "NoSuchBucket")
_NOT_PROTECTED = ("NoSuchPublicAccessBlockConfiguration",)
_PUBLIC_ACCESS_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class BucketStep(Step):
    """Creates a private, encrypted bucket if the bucket is missing. A bucket that exists already is used and kept."""

    title = "bucket"

    def change(self) -> str | None:
        """Describe the change if the bucket is missing, or if it is ours and public access is not blocked yet."""
        is_complete = bucket_exists(self._deployment) and not self._lacks_public_access_block()
        return None if is_complete else f"create {self._names.bucket}, private"

    def apply(self) -> None:
        """Create the bucket, and block public access."""
        if not bucket_exists(self._deployment):
            self._create()
        if self._lacks_public_access_block():
            self._aws.call(
                "s3",
                "PutPublicAccessBlock",
                Bucket=self._names.bucket,
                PublicAccessBlockConfiguration=dict.fromkeys(_PUBLIC_ACCESS_BLOCKS, True),
            )

    def resources(self) -> list[OwnedResource]:
        """List the bucket if it is ours."""
        return [OwnedResource("S3 bucket", self._names.bucket, self._remove)] if self._is_ours() else []

    def _create(self) -> None:
        """Create the bucket with its tags in one request.

        Some stores with S3's API ignore the tags of this request. Then the bucket is tagged afterwards, and deleted at
        once if that fails, because without the owner tag `down` would not remove it.
        """
        bucket, tags = self._names.bucket, self._deployment.tag_list
        configuration: dict[str, Any] = {"Tags": tags}
        if self._config.region != "us-east-1":  # S3 refuses a location constraint for its own default region.
            configuration["LocationConstraint"] = self._config.region
        self._aws.call("s3", "CreateBucket", Bucket=bucket, CreateBucketConfiguration=configuration)
        try:
            if not self._is_ours():
                self._aws.call("s3", "PutBucketTagging", Bucket=bucket, Tagging={"TagSet": tags})
        except AwsError:
            self._aws.call("s3", "DeleteBucket", Bucket=bucket)
            raise

    def _is_ours(self) -> bool:
        tags = self._aws.find("s3", "GetBucketTagging", _NOT_TAGGED, Bucket=self._names.bucket)
        return tags is not None and self._ownership.is_ours(tags["TagSet"])

    def _lacks_public_access_block(self) -> bool:
        if not self._is_ours():
            return False
        return self._aws.find("s3", "GetPublicAccessBlock", _NOT_PROTECTED, Bucket=self._names.bucket) is None

    def _remove(self) -> None:
        try:
            self._aws.call("s3", "DeleteBucket", Bucket=self._names.bucket)
        except AwsError as error:
            if error.code != "BucketNotEmpty":
                raise
            raise ResourceKept(
                f"S3 bucket {self._names.bucket}, which holds objects that `up` did not upload{self._example()}"
            ) from None

    def _example(self) -> str:
        """Return the key of one object in the bucket, for a message, or nothing if the caller may not list it."""
        try:
            listed = self._aws.call("s3", "ListObjectsV2", Bucket=self._names.bucket, MaxKeys=1)
        except AwsError:
            return ""
        key = next((str(one["Key"]) for one in listed.get("Contents", [])), "")
        is_captured = key.startswith(self._names.capture_prefix)
        return f", such as {key}{' (captured data)' if is_captured else ''}" if key else ""


def bucket_exists(deployment: Deployment) -> bool:
    """Return whether the bucket exists.

    Raises: ToolError if the bucket has the default name, which others can guess, and belongs to another account; and if
    it is in another region, from which SageMaker reads no artifact.
    """
    bucket, region = deployment.names.bucket, deployment.config.region
    owner = {} if deployment.config.bucket else {"ExpectedBucketOwner": deployment.account}
    try:
        response = deployment.aws.find("s3", "HeadBucket", ("404", "NoSuchBucket"), Bucket=bucket, **owner)
    except AwsError as error:
        if error.code != "403":
            raise
        why = (
            f"{error.message}: the bucket {bucket} belongs to another account, or you may not list it (s3:ListBucket). "
            "Name another one with --bucket"
        )
        raise AwsError(error.operation, error.code, why) from None
    if response is not None and response.get("BucketRegion", region) != region:
        raise ToolError(
            f"the bucket {bucket} is in {response['BucketRegion']}, and SageMaker in {region} reads no artifact from "
            "there: name another one with --bucket"
        )
    return response is not None


def bucket_key(deployment: Deployment) -> str:
    """Return the ARN of the customer's key that encrypts a bucket of the user, or "" if there is none.

    The key may be named by its id or alias. Everybody who may read an object may use AWS's own key.
    """
    if not deployment.config.bucket or not bucket_exists(deployment):
        return ""
    not_encrypted = ("ServerSideEncryptionConfigurationNotFoundError",)
    bucket = deployment.names.bucket
    response = deployment.aws.find("s3", "GetBucketEncryption", not_encrypted, Bucket=bucket)
    rules = response["ServerSideEncryptionConfiguration"]["Rules"] if response else []
    keys = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", "") for rule in rules]
    key = next(filter(None, keys), "")
    if not key or key.startswith("arn:"):
        return key
    return deployment.names.arn("kms", key if key.startswith("alias/") else f"key/{key}")
