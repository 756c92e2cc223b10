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


TRUST_POLICY = policy(allow("sts:AssumeRole", Principal={"Service": "sagemaker.amazonaws.com"}))


def execution_policy(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    """Return the statements of the role's policy."""
    bucket = names.s3_arn(names.bucket)
    logs = names.arn("logs", "log-group:/aws/sagemaker/*")
    statements = [
        allow("s3:GetObject", Resource=f"{bucket}/{names.key_prefix}*"),
        allow("s3:ListBucket", Resource=bucket, Condition={"StringLike": {"s3:prefix": f"{names.key_prefix}*"}}),
        allow("ecr:GetAuthorizationToken", Resource="*"),  # IAM accepts no narrower resource for this action.
        allow(
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            Resource=_repository_arn(config, names),
        ),
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
    if config.mode == "async":
        statements.append(allow("s3:GetObject", "s3:PutObject", Resource=f"{bucket}/{names.async_prefix}*"))
    if config.mode == "batch":
        statements += _batch_statements(config, names)
    return statements


def _repository_arn(config: DeploymentConfig, names: Names) -> str:
    """Return the ARN of the image's repository. An image that the configuration names may be in another account."""
    if not config.image_uri:
        return names.arn("ecr", f"repository/{names.repository}")
    host, _, path = config.image_uri.partition("/")
    account, region = host.split(".")[0], (host.split(".") + ["", "", "", ""])[3]
    repository = path.partition("@")[0].partition(":")[0]
    return f"arn:{names.partition}:ecr:{region}:{account}:repository/{repository}"


def _batch_statements(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    source, target = (uri.removeprefix("s3://") for uri in (config.batch_input, config.batch_output))
    return [
        allow("s3:GetObject", Resource=names.s3_arn(f"{source}*")),
        allow("s3:ListBucket", Resource=names.s3_arn(source.partition("/")[0])),
        allow("s3:PutObject", Resource=names.s3_arn(f"{target.rstrip('/')}/*")),
    ]
