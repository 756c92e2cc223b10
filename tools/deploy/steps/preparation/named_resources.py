"""Checks of what the configuration names and the user made: a role, a key, and the places of a batch job in S3.

A caller who may not ask AWS about one of them still may use it. Then the check returns why it cannot say anything.
"""

import json

from tools.deploy.deployment import Deployment
from tools.deploy.steps.serving.batch_transform import BatchTransformStep
from tools.errors import ToolError
from tools.remote.aws import AwsError

DENIED = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")


def check_named_role(deployment: Deployment) -> str:
    """Check the role of --role-arn. Return why nothing is known about it, or "".

    Raises: ToolError if SageMaker cannot use the role.
    """
    arn = deployment.config.role_arn
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    if account != deployment.account:
        raise ToolError(
            f"--role-arn {arn} belongs to the account {account}, and you are in {deployment.account}: "
            "name a role of your own account"
        )
    try:
        role = deployment.aws.find("iam", "GetRole", ("NoSuchEntity",), RoleName=name)
    except AwsError as error:
        return _unknown(error, f"the role {name}", "iam:GetRole")
    if role is None or role["Role"]["Arn"] != arn:
        found = f"; there is {role['Role']['Arn']}" if role else ""
        raise ToolError(f"--role-arn {arn}: there is no such role{found}. `aws iam list-roles` shows your roles")
    if "sagemaker.amazonaws.com" not in json.dumps(role["Role"]["AssumeRolePolicyDocument"]):
        raise ToolError(
            f"--role-arn {arn}: SageMaker may not use this role. Let sagemaker.amazonaws.com assume it, in the role's "
            "trust policy"
        )
    return ""


def check_key(deployment: Deployment) -> str:
    """Check the key of --kms-key. Return why nothing is known about it, or "".

    Raises: ToolError if the key cannot be used.
    """
    arn, region = deployment.config.kms_key, deployment.config.region
    if arn.split(":")[3] != region:
        raise ToolError(f"--kms-key {arn} is in {arn.split(':')[3]}, and the deployment in {region}: name a key there")
    try:
        key = deployment.aws.find("kms", "DescribeKey", ("NotFoundException",), KeyId=arn)
    except AwsError as error:
        return _unknown(error, "the key", "kms:DescribeKey")
    if key is None:
        raise ToolError(f"--kms-key {arn}: there is no such key. `aws kms list-keys` shows your keys")
    if (state := key["KeyMetadata"].get("KeyState", "Enabled")) != "Enabled":
        raise ToolError(f"--kms-key {arn}: the state of the key is {state}, so it encrypts nothing. Enable it")
    return ""


def check_batch_place(deployment: Deployment, flag: str, uri: str, *, holds_files: bool) -> str:
    """Check the bucket of a batch job's place in S3. Return why nothing is known about it, or "".

    holds_files: there must be an object already, unless a job for the same request runs or has completed.

    Raises: ToolError if the bucket does not exist, or if there is no object although there must be one.
    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    try:
        if deployment.aws.find("s3", "HeadBucket", ("404", "NoSuchBucket"), Bucket=bucket) is None:
            raise ToolError(f"{flag} {uri}: there is no bucket {bucket}. Create it, or name another one")
        if not holds_files:
            return ""
        listed = deployment.aws.call("s3", "ListObjectsV2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except AwsError as error:
        return _unknown(error, f"the bucket {bucket}", "s3:ListBucket")
    if not listed.get("Contents") and BatchTransformStep(deployment).find_job() is None:
        raise ToolError(f"{flag} {uri}: no object has this prefix. Copy the files there, or correct the prefix")
    return ""


def _unknown(error: AwsError, what: str, action: str) -> str:
    if error.code not in DENIED:
        raise error
    return f"{what} was not checked, because you may not ask AWS about it ({action})"
