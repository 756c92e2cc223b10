"""The CloudFormation template: it is valid, it creates the same as `up`, and the commands in its comment work.

moto's CloudFormation cannot create alarms and scaling, and ignores the name of the endpoint. The tests add that. They
compare the properties of all resources in the stack with the requests that `up` sends to AWS.
"""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.decode.cfn_yaml import loads
from moto.cloudformation import parsing
from moto.sagemaker.models import FakeEndpoint

from container import contract
from container.settings import Settings
from tests.aws import aws_account
from tests.aws.aws_account import INSTANCE, REGION
from tests.unit.deploy.comment_commands import commands_in_comment
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.steps.preparation.role import RoleStep
from tools.deploy.steps.serving.endpoint import EndpointStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.rollback_alarm import RollbackAlarmStep
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.remote.aws import Aws

ROOT = Path(__file__).parents[2]
STACK = (ROOT / "deploy" / "cloudformation.yaml").read_text()
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
}


def parsed(value: Any) -> Any:
    """Parse strings that hold JSON: CloudFormation accepts "1" for 1 and "true" for true, and policies as strings."""
    if isinstance(value, dict):
        return {key: parsed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [parsed(one) for one in value if one is not None]  # moto leaves AWS::NoValue in lists
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def without(value: Any, *names: str) -> Any:
    """Return a copy of the value without the keys of these names, at any depth."""
    if isinstance(value, list):
        return [without(one, *names) for one in value]
    return {k: without(v, *names) for k, v in value.items() if k not in names} if isinstance(value, dict) else value


class NameOnly:
    """A resource that moto's CloudFormation cannot create. It has a name and no state."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @property
    def physical_resource_id(self) -> str:
        return self.arn.rpartition(":")[2]

    def is_created(self) -> bool:
        return True

    def get_cfn_attribute(self, attribute_name: str) -> str:
        return {"Arn": self.arn}[attribute_name]

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> "NameOnly":
        name = cloudformation_json["Properties"].get("AlarmName", resource_name)
        return cls(f"arn:aws:cloudwatch:{region_name}:{account_id}:alarm:{name}")

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any) -> None:
        pass


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty account, and the properties of the resources of each new stack, with all functions resolved."""
    seen: dict[str, Any] = {}
    parse = parsing.parse_resource_and_generate_name

    def record(logical_id: str, resource_json: Any, resources_map: Any) -> Any:
        resource = parse(logical_id, resource_json, resources_map)
        seen[logical_id] = parsed(resource[1]["Properties"])
        return resource

    monkeypatch.setattr(parsing, "parse_resource_and_generate_name", record)
    monkeypatch.setattr(FakeEndpoint, "cloudformation_name_type", staticmethod(lambda: "EndpointName"))
    for kind in (
        "CloudWatch::Alarm",
        "ApplicationAutoScaling::ScalableTarget",
        "ApplicationAutoScaling::ScalingPolicy",
    ):
        monkeypatch.setitem(parsing.get_model_map(), f"AWS::{kind}", NameOnly)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with aws_account.running(monkeypatch) as moto:
        aws_account.enter(moto, "http://127.0.0.1:9", monkeypatch)
        yield seen


def make_config(model_dir: Path, **values: Any) -> DeploymentConfig:
    """Return a configuration of the tool that corresponds to the stack of `make_stack`."""
    (model_dir / "tokenizer.json").write_text("{}")
    (model_dir / "model_int8.pt").write_bytes(b"int8")
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/bert-qa:{contract.VERSION}"
    fixed = {"region": REGION, "instance": INSTANCE, "bucket": "models", "image_uri": uri}
    return DeploymentConfig(**fixed, model_dir=model_dir, environment={"PRECISIONS": "INT8"}, **values)


def requests_of_up(config: DeploymentConfig) -> dict[str, Any]:
    """Return the parameters of the requests that `up` sends, by operation, for a new endpoint and an update."""
    seen: dict[str, Any] = {}
    session = boto3.Session()
    session.events.register(
        "provide-client-params", lambda params, model, **_: seen.update({model.name: parsed(params)})
    )
    for version in (config.model_copy(update={"startup_seconds": config.startup_seconds + 1}), config):
        deployment = Deployment(Aws(REGION, session=session), version, print)
        for step in (RoleStep, ModelsStep, EndpointConfigStep, RollbackAlarmStep, EndpointStep, ScalingStep):
            step(deployment).apply()
    return {operation: without(params, "Tags") for operation, params in seen.items()}


def make_stack(config: DeploymentConfig) -> dict[str, str]:
    """Create a stack with the parameters that correspond to this configuration, and return its outputs."""
    deployment = Deployment(Aws(REGION), config, print)
    values = {name: getattr(config, field) for name, field in FIELDS.items()}
    values |= {
        "ModelBucket": config.bucket,
        "ModelPrefix": deployment.names.key_prefix,
        "ModelKey": deployment.artifact_keys[0].removeprefix(deployment.names.key_prefix),
        "ImageTag": config.image_uri.rpartition(":")[2],
        "Precisions": config.environment["PRECISIONS"],
        "ScaleTarget": config.scale_target or 0,
    }
    given = [{"ParameterKey": name, "ParameterValue": json.dumps(v).strip('"')} for name, v in values.items()]
    client = boto3.client("cloudformation")
    client.create_stack(StackName=config.name, TemplateBody=STACK, Parameters=given, Capabilities=["CAPABILITY_IAM"])
    (stack,) = client.describe_stacks(StackName=config.name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def test_cfn_lint_finds_nothing() -> None:
    assert lint(STACK, config=ManualArgs(regions=["us-east-1", "cn-north-1", "us-gov-west-1"])) == []


@pytest.mark.parametrize(
    "values", [{}, {"max_instances": 3, "scale_target": 700, "rollback_alarm": True}], ids=["default", "everything"]
)
def test_the_stack_creates_the_same_as_up(values: dict[str, Any], resolved: dict[str, Any], tmp_path: Path) -> None:
    config = make_config(tmp_path, **values)
    make_stack(config)
    boto3.client("cloudformation").delete_stack(StackName=config.name)
    up = requests_of_up(config)
    (policy,) = resolved["Role"]["Policies"]
    expected = {
        "Role": {
            "AssumeRolePolicyDocument": up["CreateRole"]["AssumeRolePolicyDocument"],
            "Policies": [{key: up["PutRolePolicy"][key] for key in policy}],
        },
        "Model": without(up["CreateModel"], "ModelName"),
        "EndpointConfig": without(up["CreateEndpointConfig"], "EndpointConfigName"),
        "Endpoint": up["UpdateEndpoint"],
    }
    if "PutMetricAlarm" in up:
        expected["Alarm"] = up["PutMetricAlarm"]
    if "RegisterScalableTarget" in up:
        target = expected["ScalableTarget"] = up["RegisterScalableTarget"]
        expected["ScalingPolicy"] = without(up["PutScalingPolicy"], *target)
    generated = ("ExecutionRoleArn", "ModelName", "EndpointConfigName", "ScalingTargetId")  # these names differ
    assert without(resolved, *generated) == without(expected, *generated)


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


def test_the_deploy_command_gives_every_parameter_without_a_default() -> None:
    (deploy,) = (line for line in commands_in_comment(STACK) if line.startswith("aws cloudformation deploy"))
    given = re.findall(r"(\w+)=", deploy.partition("--parameter-overrides")[2])
    assert set(given) == {name for name, one in PARAMETERS.items() if "Default" not in one}
