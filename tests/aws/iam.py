"""An evaluator of IAM policies, and the permissions that each recorded request needs.

The sources are the pages of the Service Authorization Reference, such as
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends
from moto.sagemaker.models import sagemaker_backends

from tests.aws.recording import Refusal, Request

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ANY = "*"  # the resource of actions that AWS defines without resources


@dataclass(frozen=True)
class Need:
    """A permission that a request needs: an action on a resource, in a context of condition keys."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def is_allowed(statements: Iterable[dict[str, Any]], need: Need) -> bool:
    """Return whether a policy with these statements allows what is needed."""
    return any(_allows(statement, need) for statement in statements)


def refuse_unless_allowed(statements: Iterable[dict[str, Any]], request: Request) -> None:
    """Refuse a request like AWS if its caller lacks a permission."""
    for need in needs(request):
        if not is_allowed(statements, need):
            raise Refusal(
                f"User: arn:aws:iam::{ACCOUNT}:user/tester is not authorized to perform: {need.action} on resource: "
                f"{need.resource} because no identity-based policy allows the {need.action} action",
                _denied_code(request),
                403,
            )


def _denied_code(request: Request) -> str:
    if request.operation.startswith("Head"):
        return "403"
    return "AccessDenied" if request.service in ("s3", "iam") else "AccessDeniedException"


def _allows(statement: dict[str, Any], need: Need) -> bool:
    assert statement["Effect"] == "Allow"
    assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    return (
        any(_matches(one, need.action) for one in as_list(statement["Action"]))
        and any(_matches(one, need.resource) for one in as_list(statement["Resource"]))
        and all(
            _holds(operator, key, as_list(values), need.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def _holds(operator: str, key: str, values: list[str], context: dict[str, str]) -> bool:
    present = context.get(key)
    if operator == "StringEquals":
        return present in values
    if operator == "Bool":
        return present in values
    assert operator == "StringLike", operator
    return present is not None and any(_matches(value, present) for value in values)


def _matches(pattern: str, text: str) -> bool:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), text) is not None


def as_list(value: str | list[str]) -> list[str]:
    """Return the values of an element of a policy, which is a text or a list."""
    return [value] if isinstance(value, str) else value


def needs(request: Request) -> list[Need]:
    """Return the permissions that the caller of a request needs."""
    return list(_NEEDS[request.service](request.operation, request.parameters))


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def _s3(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{asked['Bucket']}"
    keys = [asked["Key"]] if "Key" in asked else [one["Key"] for one in asked.get("Delete", {}).get("Objects", [])]
    action = {
        "HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "HeadObject": "GetObject",
        "DeleteObjects": "DeleteObject", "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock", "CreateMultipartUpload": "PutObject",
        "UploadPart": "PutObject", "CompleteMultipartUpload": "PutObject",
        "GetBucketEncryption": "GetEncryptionConfiguration",
    }.get(operation, operation)  # fmt: skip
    for resource in [f"{bucket}/{key}" for key in keys] or [bucket]:
        yield Need(f"s3:{action}", resource)
    if operation == "GetObject":  # the tool reads only the answers of an asynchronous endpoint
        configs = sagemaker_backends[ACCOUNT][REGION].endpoint_configs.values()
        outputs = [(config.async_inference_config or {}).get("OutputConfig", {}) for config in configs]
        yield from (Need("kms:Decrypt", output["KmsKeyId"]) for output in outputs if "KmsKeyId" in output)
    if operation == "HeadObject":  # without s3:ListBucket, the answer for a missing object is 403
        yield Need("s3:ListBucket", bucket)
    if "Tagging" in asked and keys and operation != "PutObjectTagging":
        yield Need("s3:PutObjectTagging", f"{bucket}/{keys[0]}")
    if asked.get("CreateBucketConfiguration", {}).get("Tags"):
        yield Need("s3:TagResource", bucket)


def _ecr(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    if operation == "GetAuthorizationToken":
        yield Need("ecr:GetAuthorizationToken", ANY)
        return
    account = asked.get("registryId", ACCOUNT)
    for name in asked.get("repositoryNames") or [asked.get("repositoryName")]:
        arn = asked.get("resourceArn") or f"arn:aws:ecr:{REGION}:{account}:repository/{name}"
        yield Need(f"ecr:{operation}", arn)
        if "tags" in asked and operation != "TagResource":
            yield Need("ecr:TagResource", arn)


def _iam(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    if operation == "SimulatePrincipalPolicy":
        return
    # IAM knows the path of a role that exists. A role that does not exist is looked for without a path.
    present = next((one for one in iam_backends[ACCOUNT]["aws"].roles.values() if one.name == asked["RoleName"]), None)
    role = f"arn:aws:iam::{ACCOUNT}:role{present.path if present else asked.get('Path', '/')}{asked['RoleName']}"
    yield Need(f"iam:{operation}", role)
    if "Tags" in asked and operation != "TagRole":
        yield Need("iam:TagRole", role)


_SAGEMAKER_RESOURCES = {
    "ModelName": "model", "EndpointConfigName": "endpoint-config", "EndpointName": "endpoint",
    "TransformJobName": "transform-job",
}  # fmt: skip


def _sagemaker(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    if operation.startswith("List") and operation != "ListTags":
        yield Need(f"sagemaker:{operation}", ANY)
        return
    arns = [_arn("sagemaker", f"{kind}/{asked[key]}") for key, kind in _SAGEMAKER_RESOURCES.items() if key in asked]
    if operation == "CreateTransformJob":  # the model is no resource of this action
        arns = [_arn("sagemaker", f"transform-job/{asked['TransformJobName']}")]
    if "ResourceArn" in asked:
        arns = [asked["ResourceArn"]]
    for arn in arns:
        yield Need(f"sagemaker:{operation}", arn)
    if asked.get("Tags") and operation != "AddTags":
        yield Need("sagemaker:AddTags", arns[-1])
    if "ExecutionRoleArn" in asked:
        yield Need("iam:PassRole", asked["ExecutionRoleArn"], {"iam:PassedToService": "sagemaker.amazonaws.com"})
    for key in filter(None, (asked.get("KmsKeyId"), asked.get("TransformResources", {}).get("VolumeKmsKeyId"))):
        context = {"kms:ViaService": f"sagemaker.{REGION}.amazonaws.com", "kms:GrantIsForAWSResource": "true"}
        yield from (Need(f"kms:{action}", key, context) for action in ("CreateGrant", "DescribeKey"))


def _autoscaling(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    target = ANY if operation.startswith("Describe") else _arn("application-autoscaling", "scalable-target/0ec5f7")
    yield Need(f"application-autoscaling:{operation}", target)
    if "Tags" in asked and operation != "TagResource":
        yield Need("application-autoscaling:TagResource", target)
    if operation == "RegisterScalableTarget":
        name = "sagemaker.application-autoscaling.amazonaws.com"
        role = f"aws-service-role/{name}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
        yield Need("iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:role/{role}", {"iam:AWSServiceName": name})
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html
        endpoint = _arn("sagemaker", "/".join(asked["ResourceId"].split("/")[:2]))
        for action in ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"):
            yield Need(f"sagemaker:{action}", endpoint)
    if operation == "PutScalingPolicy" and asked["PolicyType"] == "TargetTrackingScaling":
        alarm = _arn("cloudwatch", f"alarm:TargetTracking-{asked['ResourceId']}-AlarmHigh-0ec5f7")
        yield from (Need(f"cloudwatch:{action}", alarm) for action in ("PutMetricAlarm", "DeleteAlarms"))


def _cloudwatch(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    if operation == "DescribeAlarms":  # AWS evaluates it on all alarms, also for some names
        yield Need("cloudwatch:DescribeAlarms", ANY)
        return
    dashboards = asked.get("DashboardNames") or [asked.get("DashboardName")]
    if dashboards != [None]:  # the tags of PutDashboard need no further action that AWS documents for it
        for name in dashboards:
            yield Need(f"cloudwatch:{operation}", f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}")
        return
    names = asked.get("AlarmNames") or [asked.get("AlarmName")]
    for arn in [asked["ResourceARN"]] if "ResourceARN" in asked else [_arn("cloudwatch", f"alarm:{n}") for n in names]:
        yield Need(f"cloudwatch:{operation}", arn)
        if "Tags" in asked and operation != "TagResource":
            yield Need("cloudwatch:TagResource", arn)


def _logs(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    yield Need(f"logs:{operation}", _arn("logs", f"log-group:{asked['logGroupName']}"))


def _ec2(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    yield Need(f"ec2:{operation}", ANY)


def _pricing(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    yield Need(f"pricing:{operation}", ANY)


def _kms(operation: str, asked: dict[str, Any]) -> Iterator[Need]:
    yield Need(f"kms:{operation}", asked["KeyId"])


_NEEDS = {
    "s3": _s3, "ecr": _ecr, "iam": _iam, "sagemaker": _sagemaker, "application-autoscaling": _autoscaling,
    "cloudwatch": _cloudwatch, "ec2": _ec2, "kms": _kms, "logs": _logs, "pricing": _pricing,
    "servicequotas": lambda operation, asked: [],  # doctor works without this permission and the next
    "sts": lambda operation, asked: [],  # GetCallerIdentity needs no permission
}  # fmt: skip
