"""What the user has made and the configuration names: what does not exist is refused before anything is created."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import BATCH, REGION, inventory, make_deployment
from tests.aws.test_network_and_key import make_network
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.deploy.steps.preparation.role_policy import allow, policy
from tools.errors import ToolError

REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
ELSEWHERE = REGISTRY.replace(REGION, "us-east-1")
KEY = f"arn:aws:kms:{REGION}:123456789012:key/0123-45"


def make_role(name: str, service: str) -> str:
    """Create a role that the service may use, and return its ARN."""
    trust = json.dumps(policy(allow("sts:AssumeRole", Principal={"Service": service})))
    role = boto3.client("iam", REGION).create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    return str(role["Arn"])


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_uri": f"{REGISTRY}/bert-qa-none:1"}, "bert-qa-none:1: not found in ECR.*--image-uri"),
        ({"image_uri": f"{REGISTRY}/bert-qa-made:no-such-tag"}, "no-such-tag: not found in ECR"),
        ({"image_uri": f"{ELSEWHERE}/bert-qa:1"}, "in us-east-1, and the deployment in eu-west-1"),
        ({"role_arn": "arn:aws:iam::123456789012:role/none"}, "role/none: there is no such role"),
        ({"role_arn": "arn:aws:iam::999922223333:role/theirs"}, "belongs to the account 999922223333"),
        ({"role_arn": "arn:aws:iam::123456789012:role/lambda"}, "SageMaker may not use this role"),
        ({"kms_key": KEY}, "--kms-key .*: there is no such key"),
        ({"kms_key": KEY.replace(REGION, "us-east-1")}, f"is in us-east-1, and the deployment in {REGION}"),
        ({**BATCH, "batch_input": "s3://no-such-bucket/x"}, "--batch-input .*: there is no bucket no-such-bucket"),
        ({**BATCH, "batch_input": "s3://questions/wrong/"}, "--batch-input .*: no object has this prefix"),
        ({**BATCH, "batch_output": "s3://no-such-bucket"}, "--batch-output .*: there is no bucket no-such-bucket"),
    ],
)
def test_what_does_not_exist_is_refused(
    artifact: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], words: str
) -> None:
    boto3.client("ecr", REGION).create_repository(repositoryName="bert-qa-made")
    make_role("lambda", "lambda.amazonaws.com")
    before = inventory()
    with pytest.raises(ToolError, match=words):
        commands.planned_changes(make_deployment(artifact, **values))
    with pytest.raises(ToolError, match=f"(?s){words}.*Nothing was changed"):
        commands.up(make_deployment(artifact, **values))
    assert inventory() == before
    with pytest.raises(ToolError, match="`up` would fail: .*(image|given resources)"):
        command.doctor(make_deployment(artifact, **values))
    assert "fails" in capsys.readouterr().out


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_uri": f"999922223333.dkr.ecr.{REGION}.amazonaws.com/theirs:1"}, "may not ask its registry"),
        ({"image_uri": f"{REGISTRY}/theirs:1"}, "may not ask its registry"),
    ],
)
def test_what_the_caller_may_not_ask_about_is_unknown(
    artifact: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], words: str
) -> None:
    command.doctor(make_deployment(artifact, **values))
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("│ image "))
    assert "unknown" in line
    assert words in line


@pytest.mark.usefixtures("account")
def test_what_exists_is_accepted(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.up(make_deployment(artifact))
    uri = make_deployment(artifact).image.uri
    key = boto3.client("kms", REGION).create_key()["KeyMetadata"]["Arn"]
    role = make_role("mine", "sagemaker.amazonaws.com")
    command.doctor(make_deployment(artifact, image_uri=uri, role_arn=role, kms_key=key))
    shown = capsys.readouterr().out
    assert f"{uri} is in ECR in docker's format" in shown
    assert "what the configuration names exists" in shown
    boto3.client("kms", REGION).disable_key(KeyId=key.rpartition("/")[2])
    with pytest.raises(ToolError, match="the state of the key is Disabled"):
        commands.planned_changes(make_deployment(artifact, kms_key=key))


@pytest.mark.usefixtures("account")
def test_the_subnets_and_the_security_groups_are_in_one_vpc(artifact: Path) -> None:
    network = make_network("eu-west-1a", "eu-west-1b")
    other = make_network("eu-west-1a", "eu-west-1b")["security_groups"]
    with pytest.raises(ToolError, match="in several VPCs"):
        commands.planned_changes(make_deployment(artifact, **{**network, "security_groups": other}))
    with pytest.raises(ToolError, match="sg-0123456789abcdef0"):
        commands.planned_changes(make_deployment(artifact, **{**network, "security_groups": "sg-0123456789abcdef0"}))


@pytest.mark.usefixtures("account")
def test_a_wrong_override_is_refused_before_anything_is_created(artifact: Path) -> None:
    overrides = {"CreateModel": {"VpcConfig": {"Subnets": "subnet-1"}}}
    with pytest.raises(ToolError, match=r"(?s)CreateModel: .*\[overrides.CreateModel\]"):
        commands.planned_changes(make_deployment(artifact, overrides=overrides))
    with pytest.raises(ToolError, match="`up` would fail: overrides"):
        command.doctor(make_deployment(artifact, overrides=overrides))


@pytest.mark.usefixtures("account")
def test_doctor_names_variables_that_are_no_settings(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"MKL_VERBOSE": "1", "LOG_LEVEL": "DEBUG", "MAX_QUEU_SECONDS": "5"}
    command.doctor(make_deployment(artifact, environment=values))
    shown = capsys.readouterr().out
    assert "MKL_VERBOSE, MAX_QUEU_SECONDS: no settings of the server" in shown
    assert "MAX_QUEU_SECONDS is not a setting of the server, and resembles MAX_QUEUE_SECONDS" in shown
    command.plan(make_deployment(artifact, environment=values))
    assert "Warning: [environment] MAX_QUEU_SECONDS is not a setting" in capsys.readouterr().out
