"""The policies in docs/deploy.md allow every request of the tool, in every mode, and nothing on names of others.

make_deployment applies them to every request in all tests, and the tests here fail if `up` or `down` meets a refusal.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import INSTANCE, REGION, SCALED, make_deployment, remove_all
from tests.aws.guide_policy import further_statements, main_statements, statements_for
from tests.aws.iam import ANY, Need, as_list, is_allowed, needs
from tests.aws.recording import Request, watch
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig

# Actions on "*", with the reason.
WITHOUT_RESOURCES = {
    "ecr:GetAuthorizationToken": "AWS defines it without resources",
    "sagemaker:ListModels": "AWS defines it without resources",
    "sagemaker:ListEndpointConfigs": "AWS defines it without resources",
    "sagemaker:ListTransformJobs": "AWS defines it without resources",
    "pricing:GetProducts": "AWS defines it without resources",
    "cloudwatch:DescribeAlarms": "AWS evaluates a request for a prefix on all alarms",
    "application-autoscaling:*": "AWS gives scalable targets ids of its own",
}
# Actions that no recorded request shows: the push by the container engine, the end of a failed upload, and the
# correction of a role that an earlier version made, which test_deploy.py shows.
UNRECORDED = {
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload", "ecr:PutImage", "s3:AbortMultipartUpload", "iam:UpdateAssumeRolePolicy",
}  # fmt: skip
MODES: list[dict[str, Any]] = [
    SCALED,
    SCALED,  # the second `up` compares the configuration with what exists
    {},
    {"tags": {"team": "search"}},
    {"alarms": True},
    {"alarms": True, "tags": {"team": "ranking"}},
    {"traffic": "INT8=90,FP32=10"},
    {"traffic": "INT8=50,FP32=50", **SCALED},
    {"mode": "async", "scale_to_zero": True, "scale_target": 5},
    {"mode": "serverless"},
    {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"},
    {"bucket": "models-of-the-team"},
]


@pytest.mark.usefixtures("account")
def test_the_policy_in_the_guide_allows_what_the_tool_does_and_nothing_else(artifact: Path) -> None:
    used: dict[str, Need] = {}

    def see(request: Request) -> None:
        used.update({need.action: need for need in needs(request)})

    boto3.client("s3", REGION).create_bucket(
        Bucket="models-of-the-team", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    for values in MODES:
        deployment = make_deployment(artifact, watch(boto3.Session(region_name=REGION), see), **values)
        commands.planned_changes(deployment)
        commands.up(deployment)
        for job in sagemaker_backends["123456789012"][REGION].transform_jobs.values():
            job.transform_job_status = "InProgress"
        if values.get("mode") or "traffic" in values:
            remove_all(deployment)

    listed = {action for one in main_statements() for action in as_list(one["Action"])}
    assert listed - set(used) == UNRECORDED


def test_a_push_needs_nothing_else() -> None:
    config = DeploymentConfig(instance=INSTANCE)
    repository = f"arn:aws:ecr:{REGION}:123456789012:repository/bert-qa"
    for action in UNRECORDED:
        if action.startswith("ecr:"):
            assert is_allowed(statements_for(config), Need(action, repository))


def test_the_policy_grants_nothing_on_names_that_do_not_begin_like_those_of_the_deployment() -> None:
    beginnings = (
        "arn:aws:s3:::bert-qa-*",
        "arn:aws:*:*:111122223333:*/bert-qa*",
        "arn:aws:iam::111122223333:role/bert-qa-*",
        "arn:aws:cloudwatch:*:111122223333:alarm:bert-qa-*",
        "arn:aws:cloudwatch:*:111122223333:alarm:TargetTracking-endpoint/bert-qa/*",  # AWS's names for our alarms
    )
    for statement in main_statements():
        for resource in as_list(statement["Resource"]):
            if as_list(statement["Action"]) == ["iam:CreateServiceLinkedRole"]:
                assert "/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/" in resource
            elif resource == ANY:
                for action in as_list(statement["Action"]):
                    assert any(fnmatchcase(action, one) for one in WITHOUT_RESOURCES), action
            else:
                assert any(fnmatchcase(resource, one) for one in beginnings), resource
    for statement in further_statements():
        actions = as_list(statement["Action"])
        if ANY in as_list(statement["Resource"]):  # AWS defines these actions without resources
            assert set(actions) == {
                "ec2:DescribeSubnets",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeNetworkInterfaces",
            }


@pytest.mark.usefixtures("account")
def test_resources_of_a_neighbour_are_not_even_looked_at(artifact: Path) -> None:
    """Their names contain that of the deployment. The guide's policy does not allow to read their tags."""
    mine = make_deployment(artifact)
    sagemaker, role = boto3.client("sagemaker", REGION), mine.names.role_arn
    for name in ("our-bert-qa", "our-bert-qa-0123456789ab", "bert-qa2-0123456789ab"):
        model = {"Image": "x", "ModelDataUrl": "s3://theirs/model.tar.gz"}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=model)
        variant = {"VariantName": "v", "ModelName": name, "InstanceType": INSTANCE, "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_transform_job(
            TransformJobName=name, ModelName=name, TransformOutput={"S3OutputPath": "s3://out"},
            TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://in"}}},
            TransformResources={"InstanceType": INSTANCE, "InstanceCount": 1},
        )  # fmt: skip
    boto3.client("s3", REGION).create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    boto3.client("s3", REGION).put_object(Bucket="theirs", Key="bert-qa/notes.txt", Body=b"keep")
    asked: list[str] = []
    session = watch(
        boto3.Session(region_name=REGION),
        lambda request: asked.append(str(request.parameters)) if request.operation in TAG_READS else None,
    )
    deployment = make_deployment(artifact, session, bucket="theirs")
    commands.planned_changes(deployment)
    commands.up(deployment)
    commands.planned_changes(deployment)
    remove_all(deployment)
    assert not [one for one in asked if "our-" in one or "bert-qa2" in one or "notes" in one]


TAG_READS = ("ListTags", "ListTagsForResource", "GetObjectTagging")
