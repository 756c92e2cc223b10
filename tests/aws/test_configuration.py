"""What the values of a configuration become in AWS: requests, permissions, and refusals before anything is created."""

import json
from pathlib import Path

import boto3
import pytest

from tests.aws.aws_account import REGION, inventory, make_deployment, remove_all
from tools.deploy import commands
from tools.deploy.steps.preparation.role import RoleStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.errors import ToolError


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("instance", "concurrent"), [("ml.c5.large", 1), ("ml.c5.xlarge", 2), ("ml.c5.18xlarge", 7)])
def test_an_asynchronous_endpoint_gets_only_the_requests_that_its_server_accepts(
    artifact: Path, instance: str, concurrent: int
) -> None:
    deployment = make_deployment(artifact, mode="async", instance=instance)
    (model,) = ModelsStep(deployment).requests().values()
    assert model["PrimaryContainer"]["Environment"] == {"ASYNC_INFERENCE": "true"}
    (config,) = EndpointConfigStep(deployment).requests().values()
    client = config["AsyncInferenceConfig"]["ClientConfig"]
    assert client == {"MaxConcurrentInvocationsPerInstance": concurrent}


@pytest.mark.usefixtures("account")
def test_overrides_reach_into_a_variant_by_its_name(artifact: Path) -> None:
    further = {"VolumeSizeInGB": 50, "RoutingConfig": {"RoutingStrategy": "RANDOM"}}
    overrides = {"CreateEndpointConfig": {"ProductionVariants": {"AllTraffic": further}}}
    deployment = make_deployment(artifact, overrides=overrides)
    commands.up(deployment)
    (name,) = inventory()["configs"]
    assert name != EndpointConfigStep(make_deployment(artifact)).config_name()
    described = boto3.client("sagemaker", REGION).describe_endpoint_config(EndpointConfigName=name)
    (variant,) = described["ProductionVariants"]
    assert {key: variant[key] for key in further} == further
    assert variant["InstanceType"] == deployment.config.instance


@pytest.mark.usefixtures("account")
def test_requests_go_to_the_instance_with_the_fewest(artifact: Path) -> None:
    strategies = {}
    for mode in ("realtime", "async", "serverless"):
        (request,) = EndpointConfigStep(make_deployment(artifact, mode=mode)).requests().values()
        strategies[mode] = request["ProductionVariants"][0].get("RoutingConfig", {}).get("RoutingStrategy")
    assert strategies == {"realtime": "LEAST_OUTSTANDING_REQUESTS", "async": None, "serverless": None}


@pytest.mark.usefixtures("account")
def test_an_instance_type_that_a_mode_does_not_have_is_refused_with_others(artifact: Path) -> None:
    values = {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"}
    with pytest.raises(
        ToolError, match="has no ml.c5.large in batch mode, .*: choose ml.c5.xlarge, .* with --instance"
    ):
        commands.planned_changes(make_deployment(artifact, instance="ml.c5.large", **values))
    with pytest.raises(ToolError, match="ml.c8i.large in realtime mode, .*: choose another family"):
        commands.planned_changes(make_deployment(artifact, instance="ml.c8i.large"))


@pytest.mark.usefixtures("account")
def test_objects_have_at_most_ten_tags(artifact: Path) -> None:
    deployment = make_deployment(artifact, tags={f"tag{number}": "x" for number in range(20)})
    commands.up(deployment)
    (key,) = inventory()["objects"]
    tags = boto3.client("s3", REGION).get_object_tagging(Bucket=deployment.names.bucket, Key=key)["TagSet"]
    assert len(tags) == 10
    remove_all(deployment)
    assert inventory()["objects"] == []


@pytest.mark.usefixtures("account")
def test_a_bucket_in_another_region_is_refused(artifact: Path) -> None:
    location = {"LocationConstraint": "us-west-2"}
    boto3.client("s3", "us-west-2").create_bucket(Bucket="far-away", CreateBucketConfiguration=location)
    with pytest.raises(ToolError, match="far-away is in us-west-2"):
        commands.planned_changes(make_deployment(artifact, bucket="far-away"))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("key", ["0123-45", "alias/models", f"arn:aws:kms:{REGION}:123456789012:key/0123-45"])
def test_the_role_may_use_the_key_of_an_encrypted_bucket(artifact: Path, key: str) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="theirs", ServerSideEncryptionConfiguration={"Rules": [rule]})
    deployment = make_deployment(artifact, bucket="theirs")
    RoleStep(deployment).apply()
    policy = boto3.client("iam", REGION).get_role_policy(RoleName=deployment.names.role, PolicyName="least-privilege")
    (statement,) = (one for one in policy["PolicyDocument"]["Statement"] if "kms:Decrypt" in one["Action"])
    arn = f"arn:aws:kms:{REGION}:123456789012:key"
    assert statement["Resource"] == (f"{arn}/*" if "alias" in key else f"{arn}/0123-45")
    assert ("Condition" in statement) == ("alias" in key)


@pytest.mark.usefixtures("account")
def test_only_this_account_may_let_sagemaker_use_the_role(artifact: Path) -> None:
    iam = boto3.client("iam", REGION)
    deployment = make_deployment(artifact)
    commands.up(deployment)
    document = iam.get_role(RoleName=deployment.names.role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = document["Statement"]
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    del statement["Condition"]  # as an earlier version made the role
    iam.update_assume_role_policy(RoleName=deployment.names.role, PolicyDocument=json.dumps(document))
    assert "for this account only" in str(dict(commands.planned_changes(deployment))["role"])
    commands.up(deployment)
    document = iam.get_role(RoleName=deployment.names.role)["Role"]["AssumeRolePolicyDocument"]
    assert "Condition" in document["Statement"][0]


@pytest.mark.usefixtures("account")
def test_a_batch_job_may_use_the_hour(artifact: Path) -> None:
    commands.up(make_deployment(artifact, mode="batch", batch_input="s3://questions/x", batch_output="s3://answers/y"))
    sagemaker = boto3.client("sagemaker", REGION)
    (job,) = sagemaker.list_transform_jobs()["TransformJobSummaries"]
    described = sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])
    assert described["ModelClientConfig"] == {"InvocationsTimeoutInSeconds": 3600, "InvocationsMaxRetries": 3}


@pytest.mark.usefixtures("account")
def test_an_invalid_override_is_named(artifact: Path) -> None:
    with pytest.raises(ToolError, match=r"\[overrides.CreateModel\]"):
        commands.up(make_deployment(artifact, overrides={"CreateModel": {"VpcConfig": {"Subnets": "subnet-1"}}}))
