"""A VPC, a key and data capture: what is created, what the role may do, and when the role is removed."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import REGION, inventory, make_deployment, remove_all
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig, read_config
from tools.deploy.deployment import Deployment
from tools.deploy.steps.preparation import release
from tools.errors import ToolError

KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"


def make_network(*zones: str) -> dict[str, str]:
    """Create a VPC with a subnet in each zone, and return the values of a configuration."""
    ec2 = boto3.client("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for number, zone in enumerate(zones)
    ]
    group = ec2.create_security_group(GroupName="endpoint", Description="endpoint", VpcId=vpc)["GroupId"]
    return {"subnets": ",".join(subnets), "security_groups": group}


@pytest.mark.usefixtures("account")
def test_an_endpoint_in_a_vpc_with_a_key_and_data_capture(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "POLL_SECONDS", 0.1)
    network = make_network("eu-west-1a", "eu-west-1b")
    kms, ec2 = boto3.client("kms", REGION), boto3.client("ec2", REGION)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    before = inventory()
    values: dict[str, Any] = {**network, "kms_key": key, "capture_percent": 5, "keep": 0}
    commands.up(make_deployment(artifact, **values))
    commands.up(make_deployment(artifact, **values, startup_seconds=900))  # an update
    sagemaker = boto3.client("sagemaker", REGION)
    (name,) = inventory()["configs"]
    config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert config["KmsKeyId"] == config["DataCaptureConfig"]["KmsKeyId"] == key
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == f"s3://bert-qa-123456789012-{REGION}/bert-qa/capture"
    (model,) = inventory()["models"]
    assert sagemaker.describe_model(ModelName=model)["VpcConfig"]["Subnets"] == network["subnets"].split(",")

    # AWS holds these until some time after the endpoint is deleted.
    subnet, role = network["subnets"].split(",")[0], f"arn:aws:iam::123456789012:role/bert-qa-{REGION}"
    description = "[Do not delete] Network Interface for a SageMaker endpoint"
    interface = ec2.create_network_interface(
        SubnetId=subnet, Groups=[network["security_groups"]], Description=description
    )["NetworkInterface"]["NetworkInterfaceId"]
    ec2.create_network_interface(SubnetId=subnet, Groups=[network["security_groups"]], Description="a database")
    grant = kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])["GrantId"]
    session, polls = boto3.Session(region_name=REGION), []

    def let_go(**_: Any) -> None:
        polls.append(inventory()["roles"])
        if len(polls) == 2:
            ec2.delete_network_interface(NetworkInterfaceId=interface)
        if len(polls) == 3:
            kms.revoke_grant(KeyId=key, GrantId=grant)

    session.events.register("before-call.ec2.DescribeNetworkInterfaces", let_go)
    lines: list[str] = []
    remove_all(make_deployment(artifact, session, lines, **values))
    assert polls == [[f"bert-qa-{REGION}"]] * 3
    assert any(interface in line for line in lines)
    assert any("grant" in line and interface not in line for line in lines)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_down_says_what_aws_still_holds(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(release, "RELEASE_SECONDS", 0.2)
    network = make_network("eu-west-1a", "eu-west-1b")
    commands.up(make_deployment(artifact, **network))
    boto3.client("ec2", REGION).create_network_interface(
        SubnetId=network["subnets"].split(",")[0], Groups=[network["security_groups"]], Description="SageMaker"
    )
    with pytest.raises(ToolError, match="(?s)AWS still holds eni-.*These resources are left: IAM role.*again"):
        remove_all(make_deployment(artifact, **network))
    assert inventory()["roles"] == [f"bert-qa-{REGION}"]


@pytest.mark.usefixtures("account")
def test_down_waits_for_the_grants_of_a_role_with_a_path(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(release, "RELEASE_SECONDS", 0.2)
    kms = boto3.client("kms", REGION)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    values = {"role_path": "/ml/", "kms_key": key}
    commands.up(make_deployment(artifact, **values))
    role = boto3.client("iam", REGION).get_role(RoleName=f"bert-qa-{REGION}")["Role"]["Arn"]
    kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
    deployment = make_deployment(artifact, **values)
    without_path = Deployment(deployment.aws, deployment.config.model_copy(update={"role_path": "/"}), print)
    with pytest.raises(ToolError, match="AWS still holds grant"):
        remove_all(without_path)
    assert inventory()["roles"] == [f"bert-qa-{REGION}"]


@pytest.mark.usefixtures("account")
def test_subnets_in_one_zone_are_refused_before_anything_is_created(artifact: Path) -> None:
    before = inventory()
    network = make_network("eu-west-1a", "eu-west-1a")
    with pytest.raises(ToolError, match="all subnets are in the zone eu-west-1a"):
        commands.planned_changes(make_deployment(artifact, **network))
    with pytest.raises(ToolError, match="step 2 of"):
        commands.up(make_deployment(artifact, **network))
    assert inventory() == before


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "values", [{"mode": "async"}, {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers"}]
)
def test_a_key_encrypts_the_answers_in_s3(artifact: Path, values: dict[str, str]) -> None:
    key = boto3.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    deployment = make_deployment(artifact, **values, kms_key=key)
    commands.up(deployment)
    sagemaker = boto3.client("sagemaker", REGION)
    if values["mode"] == "async":
        (name,) = inventory()["configs"]
        config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        assert config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == config["KmsKeyId"] == key
    else:
        (job,) = sagemaker.list_transform_jobs()["TransformJobSummaries"]
        described = sagemaker.describe_transform_job(TransformJobName=job["TransformJobName"])
        assert described["TransformOutput"]["KmsKeyId"] == described["TransformResources"]["VolumeKmsKeyId"] == key
    remove_all(deployment)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"subnets": "subnet-1,subnet-2"}, "both --subnets and --security-groups"),
        ({"subnets": "subnet-1", "security_groups": "sg-1"}, "at least two subnets"),
        ({"mode": "serverless", "kms_key": KEY}, "serverless"),
        ({"mode": "serverless", "subnets": "a,b", "security_groups": "c"}, "serverless"),
        ({"mode": "async", "capture_percent": 5}, "realtime"),
        ({"kms_key": KEY, "instance": "ml.c6id.large"}, "local disk"),
        ({"kms_key": KEY, "instance": "ml.m5d.large"}, "local disk"),
        ({"kms_key": "alias/mine"}, "--kms-key alias/mine: must be the ARN of a key.*describe-key"),
    ],
)
def test_values_that_aws_refuses_are_refused_first(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        read_config(None, values)


def test_instance_types_without_a_local_disk_take_a_key() -> None:
    for instance in ("ml.c6i.large", "ml.c7i.48xlarge", "ml.m5.large", "ml.r7i.large"):
        assert DeploymentConfig(kms_key=KEY, instance=instance).kms_key == KEY
