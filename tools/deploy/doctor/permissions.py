"""The permissions that the tool needs, and the check whether the caller has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.doctor.finding import Finding
from tools.deploy.doctor.unanswered import reason
from tools.deploy.names import Names
from tools.deploy.steps.preparation.bucket import bucket_exists
from tools.errors import ToolError
from tools.remote.aws import AwsError

_SCALING_ROLE = "sagemaker.application-autoscaling.amazonaws.com"


@dataclass(frozen=True)
class Permission:
    """Actions on one resource, and the condition keys of the requests. A test compares them with the guide's policy."""

    actions: tuple[str, ...]
    resource: str
    context: dict[str, str] = field(default_factory=dict)


def needed_permissions(config: DeploymentConfig, names: Names, *, creates_bucket: bool = False) -> Iterator[Permission]:
    """Yield what the caller needs for this configuration, on one resource of each kind.

    creates_bucket: the bucket that the configuration names does not exist. `down` removes the default bucket, so the
    caller needs the same for that in any case.
    """
    bucket, objects = names.s3_arn(names.bucket), names.s3_arn(f"{names.bucket}/{names.key_prefix}0/model.tar.gz")
    if config.bucket:
        yield _permission("s3", "GetEncryptionConfiguration", bucket)
    if creates_bucket or not config.bucket:
        yield _permission("s3", "CreateBucket TagResource PutBucketTagging DeleteBucket", bucket)
        yield _permission("s3", "GetBucketPublicAccessBlock PutBucketPublicAccessBlock", bucket)
    yield _permission("s3", "ListBucket GetBucketTagging", bucket)
    yield _permission("s3", "GetObject PutObject DeleteObject GetObjectTagging PutObjectTagging", objects)
    if not config.image_uri:
        repository = names.arn("ecr", f"repository/{names.repository}")
        yield _permission("ecr", "CreateRepository DeleteRepository DescribeRepositories DescribeImages", repository)
        yield _permission("ecr", "ListTagsForResource TagResource BatchCheckLayerAvailability", repository)
        yield _permission("ecr", "BatchGetImage InitiateLayerUpload UploadLayerPart", repository)
        yield _permission("ecr", "CompleteLayerUpload PutImage", repository)
        yield _permission("ecr", "GetAuthorizationToken", "*")
    if not config.role_arn:
        yield _permission("iam", "CreateRole GetRole DeleteRole TagRole PutRolePolicy GetRolePolicy", names.role_arn)
        yield _permission("iam", "DeleteRolePolicy UpdateAssumeRolePolicy", names.role_arn)
    yield _permission("iam", "PassRole", names.role_arn, **{"iam:PassedToService": "sagemaker.amazonaws.com"})
    model = names.arn("sagemaker", f"model/{config.name}-0123456789ab")
    yield _permission("sagemaker", "CreateModel DescribeModel DeleteModel AddTags ListTags", model)
    yield _permission("sagemaker", "ListModels ListEndpointConfigs ListTransformJobs", "*")
    # `up` and `down` look for what earlier configurations have left, whatever the mode is now.
    yield _permission("sagemaker", "DescribeEndpoint", names.arn("sagemaker", f"endpoint/{config.name}"))
    yield _permission("cloudwatch", "DescribeAlarms", "*")
    yield _permission("application-autoscaling", "DescribeScalableTargets DescribeScalingPolicies", "*")
    if config.vpc:
        yield _permission("ec2", "DescribeSubnets DescribeSecurityGroups DescribeNetworkInterfaces", "*")
    if config.kms_key:
        yield _permission("kms", "Decrypt DescribeKey ListGrants", config.kms_key)
        yield _permission("kms", "CreateGrant", config.kms_key, **{"kms:GrantIsForAWSResource": "true"})
    yield from _serving(config, names)


def _serving(config: DeploymentConfig, names: Names) -> Iterator[Permission]:
    if not config.has_endpoint:
        job = names.arn("sagemaker", f"transform-job/{config.name}-0123456789ab")
        yield _permission("sagemaker", "CreateTransformJob DescribeTransformJob StopTransformJob", job)
        return
    endpoint = names.arn("sagemaker", f"endpoint/{config.name}")
    settings = names.arn("sagemaker", f"endpoint-config/{config.name}-0123456789ab")
    yield _permission("sagemaker", "CreateEndpointConfig DescribeEndpointConfig DeleteEndpointConfig", settings)
    yield _permission("sagemaker", "CreateEndpoint DescribeEndpoint UpdateEndpoint DeleteEndpoint", endpoint)
    yield _permission("sagemaker", "UpdateEndpointWeightsAndCapacities", endpoint)
    yield _permission("sagemaker", "InvokeEndpointAsync" if config.mode == "async" else "InvokeEndpoint", endpoint)
    if config.rollback_alarm or config.scale_to_zero or config.alarms:
        alarm = names.arn("cloudwatch", f"alarm:{config.name}-backlog")
        yield _permission("cloudwatch", "PutMetricAlarm DeleteAlarms ListTagsForResource TagResource", alarm)
    if config.alarms:
        group = names.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{config.name}")
        yield _permission("logs", "PutMetricFilter DescribeMetricFilters DeleteMetricFilter CreateLogGroup", group)
        yield _permission("cloudwatch", "GetDashboard PutDashboard DeleteDashboards", names.dashboard_arn)
        yield _permission("cloudwatch", "ListTagsForResource TagResource", names.dashboard_arn)
    if config.scales:
        yield _permission("application-autoscaling", "RegisterScalableTarget DeregisterScalableTarget", "*")
        yield _permission("application-autoscaling", "PutScalingPolicy TagResource ListTagsForResource", "*")
        role = f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/{_SCALING_ROLE}/x"
        yield _permission("iam", "CreateServiceLinkedRole", role, **{"iam:AWSServiceName": _SCALING_ROLE})


def _permission(service: str, actions: str, resource: str, **context: str) -> Permission:
    return Permission(tuple(f"{service}:{action}" for action in actions.split()), resource, context)


def check_permissions(deployment: Deployment, caller_arn: str) -> Finding:
    """Ask IAM whether the caller's policies allow what the tool needs. Many callers may not ask this."""
    denied = []
    source = _policy_source(deployment, caller_arn)
    creates_bucket = _lacks_bucket(deployment)
    for permission in needed_permissions(deployment.config, deployment.names, creates_bucket=creates_bucket):
        context = [
            {
                "ContextKeyName": key,
                "ContextKeyValues": [value],
                "ContextKeyType": "boolean" if value == "true" else "string",
            }
            for key, value in permission.context.items()
        ]
        try:
            response = deployment.aws.call(
                "iam",
                "SimulatePrincipalPolicy",
                PolicySourceArn=source,
                ActionNames=list(permission.actions),
                ResourceArns=[permission.resource],
                ContextEntries=context,
            )
        except AwsError as error:
            text = f"IAM did not say what you may do: {reason(error)}. docs/deploy.md lists what you need"
            return Finding("permissions", "unknown", text)
        denied += [
            f"{result['EvalActionName']} on {permission.resource}"
            for result in response["EvaluationResults"]
            if result["EvalDecision"] != "allowed"
        ]
    # The policy of the key may allow what the caller's policies do not, and IAM does not look at it here.
    of_key = [one for one in denied if one.startswith("kms:")]
    if len(of_key) < len(denied):
        return Finding("permissions", "fails", f"your policies lack {'; '.join(denied)} (see docs/deploy.md)")
    if of_key:
        text = f"your policies lack {'; '.join(of_key)}; the policy of the key may allow it (see docs/deploy.md)"
        return Finding("permissions", "unknown", text)
    return Finding("permissions", "ok", "your policies allow what this configuration needs")


def _lacks_bucket(deployment: Deployment) -> bool:
    try:
        return not bucket_exists(deployment)
    except ToolError:  # the check of the bucket reports it
        return False


def _policy_source(deployment: Deployment, caller_arn: str) -> str:
    """Return the ARN of the role behind a session, because IAM knows no sessions.

    The session does not show the path of the role, such as that of a role of IAM Identity Center. If the caller may not
    ask for the role, the path is left out.
    """
    session = re.fullmatch(r"arn:([a-z-]+):sts::(\d+):assumed-role/([^/]+)/.+", caller_arn)
    if not session:
        return caller_arn
    try:
        return str(deployment.aws.call("iam", "GetRole", RoleName=session[3])["Role"]["Arn"])
    except AwsError:
        return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
