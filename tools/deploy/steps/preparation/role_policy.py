"""The permissions of the execution role: read the artifact, pull the image, write logs and metrics, and no more."""

from typing import Any

from tools.deploy.config import DeploymentConfig
from tools.deploy.names import Names


def allow(*actions: str, **rest: Any) -> dict[str, Any]:
    """Return a statement that allows the actions. `rest` holds its Resource, Principal or Condition."""
    return {"Effect": "Allow", "Action": list(actions), **rest}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


# The statements with these actions name what AWS must release before the role may be deleted.
CREATE_INTERFACE = "ec2:CreateNetworkInterface"
CREATE_GRANT = "kms:CreateGrant"


def trust_policy(account: str) -> dict[str, Any]:
    """Return the policy that lets SageMaker use the role, for this account only.

    https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
    """
    principal = {"Service": "sagemaker.amazonaws.com"}
    condition = {"StringEquals": {"aws:SourceAccount": account}}
    return policy(allow("sts:AssumeRole", Principal=principal, Condition=condition))


def execution_policy(config: DeploymentConfig, names: Names, bucket_key: str = "") -> list[dict[str, Any]]:
    """Return the statements of the role's policy. `bucket_key`: the ARN of the key that encrypts the bucket, or ""."""
    bucket = names.s3_arn(names.bucket)
    logs = names.arn("logs", "log-group:/aws/sagemaker/*")
    statements = [
        allow("s3:GetObject", Resource=f"{bucket}/{names.key_prefix}*"),
        allow("s3:ListBucket", Resource=bucket, Condition={"StringLike": {"s3:prefix": f"{names.key_prefix}*"}}),
        allow("ecr:GetAuthorizationToken", Resource="*"),  # IAM accepts no narrower resource for this action.
        *_repository_statements(config, names),
        allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", Resource=logs),
        allow("logs:DescribeLogStreams", Resource=logs),
        allow(
            "cloudwatch:PutMetricData",
            Resource="*",  # IAM accepts no narrower resource for this action.
            Condition={"StringLike": {"cloudwatch:namespace": ["*SageMaker*", "*sagemaker*"]}},
        ),
    ]
    if config.rollback_alarm:  # SageMaker uses this role to watch the alarm during an update.
        alarms = [names.arn("cloudwatch", f"alarm:{names.alarm(variant)}") for variant in config.variants]
        statements.append(allow("cloudwatch:DescribeAlarms", Resource=alarms))
    if bucket_key:
        statements.append(_bucket_key_statement(bucket_key))
    if config.vpc:
        statements += _vpc_statements(config, names)
    if config.kms_key:
        statements += _key_statements(config.kms_key)
    if config.capture_percent:
        statements.append(allow("s3:PutObject", Resource=f"{bucket}/{names.capture_prefix}*"))
    if config.mode == "async":
        statements.append(allow("s3:GetObject", "s3:PutObject", Resource=f"{bucket}/{names.async_prefix}*"))
    if config.mode == "batch":
        statements += _batch_statements(config, names)
    return statements


def _repository_statements(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    """Return what the role needs to pull the image from ECR. A private registry in the VPC asks for no role."""
    if config.has_private_registry:
        return []
    actions = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    return [allow(*actions, Resource=_repository_arn(config, names))]


def _repository_arn(config: DeploymentConfig, names: Names) -> str:
    """Return the ARN of the image's repository. An image that the configuration names may be in another account."""
    if not config.image_uri:
        return names.arn("ecr", f"repository/{names.repository}")
    host, _, path = config.image_uri.partition("/")
    account, region = host.split(".")[0], (host.split(".") + ["", "", "", ""])[3]
    repository = path.partition("@")[0].partition(":")[0]
    return f"arn:{names.partition}:ecr:{region}:{account}:repository/{repository}"


def _vpc_statements(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    """Return what SageMaker needs to attach the container to a VPC.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/host-vpc.html, which grants all of it on all resources.
    """
    region = f"arn:{names.partition}:ec2:{config.region}"  # the subnets of a shared VPC belong to another account
    interfaces = names.arn("ec2", "network-interface/*")
    subnets = [f"{region}:*:subnet/{one}" for one in config.vpc["Subnets"]]
    groups = [f"{region}:*:security-group/{one}" for one in config.vpc["SecurityGroupIds"]]
    describe = ("NetworkInterfaces", "Vpcs", "VpcEndpoints", "DhcpOptions", "Subnets", "SecurityGroups")
    return [
        allow(CREATE_INTERFACE, Resource=[interfaces, *subnets, *groups]),
        allow(
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
            Resource=interfaces,
        ),
        # IAM accepts no narrower resource for these actions.
        allow(*(f"ec2:Describe{what}" for what in describe), Resource="*"),
    ]


def _key_statements(key: str) -> list[dict[str, Any]]:
    return [
        allow(CREATE_GRANT, Resource=key, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        allow("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", Resource=key),
    ]


def _bucket_key_statement(key: str) -> dict[str, Any]:
    """Return what the role needs to read and write objects that a key encrypts."""
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    head, _, alias = key.partition(":alias/")
    if not alias:
        return allow(*actions, Resource=key)
    condition = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}}
    return allow(*actions, Resource=f"{head}:key/*", Condition=condition)


def _batch_statements(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    source, target = (uri.removeprefix("s3://") for uri in (config.batch_input, config.batch_output))
    bucket, _, prefix = source.partition("/")  # without the slash, "data*" would name every bucket that begins so
    return [
        allow("s3:GetObject", Resource=names.s3_arn(f"{bucket}/{prefix}*")),
        allow("s3:ListBucket", Resource=names.s3_arn(bucket)),
        allow("s3:PutObject", Resource=names.s3_arn(f"{target.rstrip('/')}/*")),
    ]
