"""The CloudFormation template: it is valid, it creates the same as `up`, and the commands in its comment work.

The tests compare the properties of all resources in the stack with the requests that `up` sends to AWS.
"""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.decode.cfn_yaml import loads

from container import contract
from container.settings import Settings
from tests.aws.aws_account import REGION
from tests.aws.stacks import assert_same_as_up, make_config, parsed
from tests.unit.deploy.comment_commands import commands_in_comment
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.names import Names
from tools.deploy.steps.preparation.role_policy import execution_policy
from tools.remote.aws import Aws

ROOT = Path(__file__).parents[2]
STACK = (ROOT / "deploy" / "cloudformation.yaml").read_text()
REPOSITORY_STACK = (ROOT / "deploy" / "image-repository.yaml").read_text()
TEMPLATE: dict[str, Any] = loads(STACK)
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
# The parameters of the template that correspond to a value in the configuration of tools.deploy.
FIELDS = {
    "InstanceType": "instance",
    "Instances": "instances",
    "MaxInstances": "max_instances",
    "StartupSeconds": "startup_seconds",
    "NetworkIsolation": "network_isolation",
    "RollbackAlarm": "rollback_alarm",
    "Alarms": "alarms",
    "AlarmTopic": "alarm_topic",
}


def make_stack(config: DeploymentConfig) -> dict[str, str]:
    """Create a stack with the parameters that correspond to this configuration, and return its outputs."""
    deployment = Deployment(Aws(REGION), config, print)
    values = {name: getattr(config, field) for name, field in FIELDS.items()}
    values |= {
        "ModelBucket": config.bucket,
        "ModelPrefix": deployment.names.key_prefix,
        "ModelKey": deployment.artifact_keys[0].removeprefix(deployment.names.key_prefix),
        "ImageAccount": "" if config.image_uri.startswith("123456789012.") else config.image_uri[:12],
        "ImageTag": config.image_uri.rpartition(":")[2],
        "Precisions": config.environment["PRECISIONS"],
        "ScaleTarget": config.scale_target or 0,
    }
    if config.traffic:
        weights = {f"{one.name.capitalize()}Weight": one.weight for one in config.variants}
        values |= {"Variants": "INT8-and-FP32", "Precisions": "auto", **weights}
    given = [{"ParameterKey": name, "ParameterValue": json.dumps(v).strip('"')} for name, v in values.items()]
    client = boto3.client("cloudformation")
    client.create_stack(StackName=config.name, TemplateBody=STACK, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    (stack,) = client.describe_stacks(StackName=config.name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


@pytest.mark.parametrize("template", [STACK, REPOSITORY_STACK], ids=["cloudformation", "image-repository"])
def test_cfn_lint_finds_nothing(template: str) -> None:
    assert lint(template, config=ManualArgs(regions=["us-east-1", "cn-north-1", "us-gov-west-1"])) == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"max_instances": 3, "scale_target": 700, "rollback_alarm": True},
        {"image_uri": f"999999999999.dkr.ecr.{REGION}.amazonaws.com/bert-qa:{contract.VERSION}"},
        {"traffic": "INT8=80,FP32=20", "instances": 2},
        {"traffic": "INT8=80,FP32=20", "max_instances": 3, "scale_target": 700, "rollback_alarm": True, "alarms": True},
        {"alarms": True, "alarm_topic": f"arn:aws:sns:{REGION}:123456789012:on-call"},
    ],
    ids=["default", "everything", "another account's image", "two variants", "two variants with everything", "alarms"],
)
def test_the_stack_creates_the_same_as_up(values: dict[str, Any], resolved: dict[str, Any], tmp_path: Path) -> None:
    config = make_config(tmp_path, **values)
    make_stack(config)
    boto3.client("cloudformation").delete_stack(StackName=config.name)
    assert_same_as_up(resolved, config)


def test_a_repository_of_another_account_lets_the_role_of_the_endpoint_pull(
    resolved: dict[str, Any], tmp_path: Path
) -> None:
    client = boto3.client("cloudformation")
    given = [{"ParameterKey": "PullAccount", "ParameterValue": "999999999999"}]
    client.create_stack(StackName="images", TemplateBody=REPOSITORY_STACK, Parameters=given)
    (stack,) = client.describe_stacks(StackName="images")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    boto3.client("ecr").describe_repositories(repositoryNames=["bert-qa"])
    (statement,) = resolved["Repository"]["RepositoryPolicyText"]["Statement"]  # moto creates no policy from a stack
    assert statement["Principal"] == {"AWS": "arn:aws:iam::999999999999:root"}
    # The role of an endpoint in the other account has exactly the same actions on this repository.
    image = f"{outputs['RepositoryUri']}:1"
    assert image.startswith(f"{outputs['ImageAccount']}.dkr.ecr.{REGION}.amazonaws.com/bert-qa:")
    config = make_config(tmp_path, image_uri=image)
    pull = next(
        one
        for one in execution_policy(config, Names(config, "999999999999", "aws"))
        if "ecr:BatchGetImage" in one["Action"]
    )
    assert pull["Resource"] == f"arn:aws:ecr:{REGION}:{outputs['ImageAccount']}:repository/bert-qa"
    assert sorted(pull["Action"]) == sorted(statement["Action"])


def test_the_stack_can_be_created_and_deleted(resolved: dict[str, Any], tmp_path: Path, client: httpx.Client) -> None:
    config = make_config(tmp_path)
    outputs = make_stack(config)
    # `down` must not remove the resources of a stack.
    assert commands.existing_resources(Deployment(Aws(REGION), config, print)) == []
    sagemaker = boto3.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName="bert-qa")
    assert (outputs["EndpointName"], outputs["EndpointArn"]) == (endpoint["EndpointName"], endpoint["EndpointArn"])
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    model = sagemaker.describe_model(ModelName=variants["ProductionVariants"][0]["ModelName"])
    assert outputs["RoleArn"] == model["ExecutionRoleArn"]
    ask = shlex.split(outputs["Ask"])
    assert ask[ask.index("--endpoint-name") + 1] == endpoint["EndpointName"]
    answer = client.post("/invocations", content=ask[ask.index("--body") + 1].encode())
    assert answer.json()["answer"] == "Zoë Müller"

    boto3.client("cloudformation").delete_stack(StackName="bert-qa")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_models()["Models"] == []
    assert sagemaker.list_endpoint_configs()["EndpointConfigs"] == boto3.client("iam").list_roles()["Roles"] == []


def test_resources_that_aws_cannot_change_have_no_fixed_name() -> None:
    resources = TEMPLATE["Resources"]
    for name in ("Role", "Model", "EndpointConfig"):
        assert f"{name}Name" not in resources[name]["Properties"]


def test_parameters_have_the_defaults_and_limits_of_the_tool() -> None:
    schema = DeploymentConfig.model_json_schema()["properties"]
    names = {"default": "Default", "minimum": "MinValue", "maximum": "MaxValue", "pattern": "AllowedPattern"}
    for parameter, field in FIELDS.items():
        limits = {key: PARAMETERS[parameter].get(name) for key, name in names.items()}
        assert parsed(limits) == {key: schema[field].get(key) for key in names}, parameter
    name = schema["name"]["default"]
    assert PARAMETERS["ImageRepository"]["Default"] == name
    assert PARAMETERS["ModelPrefix"]["Default"] == f"{name}/"


def test_the_default_precisions_are_those_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECISIONS", PARAMETERS["Precisions"]["Default"])
    assert Settings.from_env().precisions == Settings.model_fields["precisions"].default


def test_the_template_works_in_every_partition_of_aws() -> None:
    text = json.dumps(TEMPLATE)
    assert "arn:aws" not in text
    assert re.findall(r"[a-z.]+\.amazonaws\.com", text) == ["sagemaker.amazonaws.com"]
    assert "arn:aws" not in REPOSITORY_STACK


def test_scaling_needs_a_target() -> None:
    assert TEMPLATE["Rules"]["ScalingNeedsATarget"]["RuleCondition"] == TEMPLATE["Conditions"]["Scales"]


def test_the_packaging_commands_give_the_same_bytes_and_a_valid_key(tmp_path: Path) -> None:
    packaging = [line for line in commands_in_comment(STACK) if line.startswith(("tar ", "KEY="))]
    script = "\n".join(["set -eu", *packaging, "echo $KEY"])
    keys = set()
    for time in (1, 2):
        artifact = tmp_path / str(time) / "build" / "demo"
        artifact.mkdir(parents=True)
        for name in ("model_int8.pt", "tokenizer.json"):
            (artifact / name).write_text(name)
            os.utime(artifact / name, (time, time))
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path / str(time), capture_output=True, text=True, check=True
        )
        keys.add(done.stdout.strip())
    (key,) = keys
    assert re.fullmatch(PARAMETERS["ModelKey"]["AllowedPattern"], key)
    listed = subprocess.run(
        ["tar", "-tzf", tmp_path / "1" / "model.tar.gz"], capture_output=True, text=True, check=True
    )
    assert {"./model_int8.pt", "./tokenizer.json"} <= set(listed.stdout.split())


def test_the_push_commands_take_the_name_of_the_repository_from_ecr(tmp_path: Path) -> None:
    """`aws configure get region` prints nothing if only an environment variable names the region."""
    uri = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/bert-qa"
    (tmp_path / "bin").mkdir()
    for command, line in (
        ("aws", f"case $* in *describe-repositories*) echo {uri} ;; esac"),
        ("docker", ""),
        ("make", ""),
    ):
        (tmp_path / "bin" / command).write_text(f'#!/bin/sh\necho "{command} $@" >> {tmp_path}/calls\n{line}\n')
        (tmp_path / "bin" / command).chmod(0o755)
    push = [line for line in commands_in_comment(STACK) if "ecr" in line or "REPOSITORY" in line]
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-euc", "\n".join(push)], env=environment, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-2:] == [f"make image IMAGE={uri}:0.1.0 CONTAINER_ENGINE=docker", f"docker push {uri}:0.1.0"]
    assert f"docker login --username AWS --password-stdin {uri.partition('/')[0]}" in calls


def test_the_deploy_command_gives_every_parameter_without_a_default() -> None:
    (deploy,) = (line for line in commands_in_comment(STACK) if line.startswith("aws cloudformation deploy"))
    given = re.findall(r"(\w+)=", deploy.partition("--parameter-overrides")[2])
    assert set(given) == {name for name, one in PARAMETERS.items() if "Default" not in one}
