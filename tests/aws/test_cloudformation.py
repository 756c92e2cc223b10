"""CloudFormation's template: valid by AWS's schemas, no other than what the tool does; its comment's commands work.

moto's CloudFormation cannot make alarms and scaling, and makes up the endpoint's name. Here these get the name that the
template gives them; all that it asks for is held against what `up` asks of AWS.
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
from tools.deploy import lifecycle
from tools.deploy.access import Role
from tools.deploy.config import Deployment
from tools.deploy.endpoint import Endpoint
from tools.deploy.models import EndpointConfig, Models
from tools.deploy.scaling import RollbackAlarm, Scaling
from tools.deploy.site import Site
from tools.remote.aws import Aws

ROOT = Path(__file__).parents[2]
STACK = (ROOT / "deploy" / "cloudformation.yaml").read_text()
TEMPLATE: dict[str, Any] = loads(STACK)
PARAMETERS: dict[str, Any] = TEMPLATE["Parameters"]
# A parameter, and the value of tools.deploy's configuration that it stands for.
FIELDS = {
    "InstanceType": "instance",
    "Instances": "instances",
    "MaxInstances": "max_instances",
    "StartupSeconds": "startup_seconds",
    "NetworkIsolation": "network_isolation",
    "RollbackAlarm": "rollback_alarm",
}


def typed(value: Any) -> Any:
    """CloudFormation takes "1" for 1 and "true" for true; policies are JSON in a string."""
    if isinstance(value, dict):
        return {key: typed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [typed(one) for one in value if one is not None]  # moto leaves AWS::NoValue in lists
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def without(value: Any, *names: str) -> Any:
    """Keys of these names left out, at any depth."""
    if isinstance(value, list):
        return [without(one, *names) for one in value]
    return {k: without(v, *names) for k, v in value.items() if k not in names} if isinstance(value, dict) else value


def commands(text: str) -> list[str]:
    """Those of the comment at the top, each on one line."""
    comment = text.partition("\nAWSTemplateFormatVersion")[0]
    return [line[4:] for line in comment.replace("\\\n#", "").splitlines() if line.startswith("#   ")]


class Unmade:
    """What moto's CloudFormation cannot make: it has a name, and nothing stands behind it."""

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
    ) -> "Unmade":
        name = cloudformation_json["Properties"].get("AlarmName", resource_name)
        return cls(f"arn:aws:cloudwatch:{region_name}:{account_id}:alarm:{name}")

    @classmethod
    def delete_from_cloudformation_json(cls, *_: Any) -> None:
        pass


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """An empty account at moto's server; as stacks are made, their resources' properties without any function left."""
    seen: dict[str, Any] = {}
    parse = parsing.parse_resource_and_generate_name

    def record(logical_id: str, resource_json: Any, resources_map: Any) -> Any:
        parsed = parse(logical_id, resource_json, resources_map)
        seen[logical_id] = typed(parsed[1]["Properties"])
        return parsed

    monkeypatch.setattr(parsing, "parse_resource_and_generate_name", record)
    monkeypatch.setattr(FakeEndpoint, "cloudformation_name_type", staticmethod(lambda: "EndpointName"))
    for kind in (
        "CloudWatch::Alarm",
        "ApplicationAutoScaling::ScalableTarget",
        "ApplicationAutoScaling::ScalingPolicy",
    ):
        monkeypatch.setitem(parsing.get_model_map(), f"AWS::{kind}", Unmade)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with aws_account.running(monkeypatch) as moto:
        aws_account.enter(moto, "http://127.0.0.1:9", monkeypatch)
        yield seen


def configuration(model_dir: Path, **values: Any) -> Deployment:
    """For the tool."""
    (model_dir / "tokenizer.json").write_text("{}")
    (model_dir / "model_int8.pt").write_bytes(b"int8")
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/bert-qa:{contract.VERSION}"
    fixed = {"region": REGION, "instance": INSTANCE, "bucket": "models", "image_uri": uri}
    return Deployment(**fixed, model_dir=model_dir, environment={"PRECISIONS": "INT8"}, **values)


def asked_by_up(config: Deployment) -> dict[str, Any]:
    """The parameters of every request that it sends, by operation; of an update too."""
    seen: dict[str, Any] = {}
    session = boto3.Session()
    session.events.register(
        "provide-client-params", lambda params, model, **_: seen.update({model.name: typed(params)})
    )
    for version in (config.model_copy(update={"startup_seconds": config.startup_seconds + 1}), config):
        site = Site(Aws(REGION, session=session), version, print)
        for step in (Role, Models, EndpointConfig, RollbackAlarm, Endpoint, Scaling):
            step(site).apply()
    return {operation: without(params, "Tags") for operation, params in seen.items()}


def make_stack(config: Deployment) -> dict[str, str]:
    """With the parameters that stand for this configuration. Its outputs."""
    site = Site(Aws(REGION), config, print)
    values = {name: getattr(config, field) for name, field in FIELDS.items()}
    values |= {
        "ModelBucket": config.bucket,
        "ModelPrefix": site.prefix,
        "ModelKey": site.artifact_keys[0].removeprefix(site.prefix),
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
def test_the_stack_asks_for_what_up_asks_for(values: dict[str, Any], resolved: dict[str, Any], tmp_path: Path) -> None:
    config = configuration(tmp_path, **values)
    make_stack(config)
    boto3.client("cloudformation").delete_stack(StackName=config.name)
    up = asked_by_up(config)
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
    made_up = ("ExecutionRoleArn", "ModelName", "EndpointConfigName", "ScalingTargetId")  # names that differ
    assert without(resolved, *made_up) == without(expected, *made_up)


def test_the_stack_comes_and_goes(resolved: dict[str, Any], tmp_path: Path, client: httpx.Client) -> None:
    config = configuration(tmp_path)
    outputs = make_stack(config)
    assert lifecycle.existing(Site(Aws(REGION), config, print)) == []  # what `down` would take for its own
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


def test_what_aws_never_changes_has_no_name_so_that_an_update_makes_another() -> None:
    resources = TEMPLATE["Resources"]
    for name in ("Role", "Model", "EndpointConfig"):
        assert f"{name}Name" not in resources[name]["Properties"]


def test_parameters_have_the_tools_defaults_and_limits() -> None:
    schema = Deployment.model_json_schema()["properties"]
    names = {"default": "Default", "minimum": "MinValue", "maximum": "MaxValue", "pattern": "AllowedPattern"}
    for parameter, field in FIELDS.items():
        limits = {key: PARAMETERS[parameter].get(name) for key, name in names.items()}
        assert typed(limits) == {key: schema[field].get(key) for key in names}, parameter
    name = schema["name"]["default"]
    assert PARAMETERS["ImageRepository"]["Default"] == name
    assert PARAMETERS["ModelPrefix"]["Default"] == f"{name}/"


def test_precisions_are_the_servers_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECISIONS", PARAMETERS["Precisions"]["Default"])
    assert Settings.from_env().precisions == Settings.model_fields["precisions"].default


def test_it_fits_every_partition() -> None:
    text = json.dumps(TEMPLATE)
    assert "arn:aws" not in text
    assert re.findall(r"[a-z.]+\.amazonaws\.com", text) == ["sagemaker.amazonaws.com"]


def test_who_scales_is_asked_for_a_target() -> None:
    assert TEMPLATE["Rules"]["ScalingNeedsATarget"]["RuleCondition"] == TEMPLATE["Conditions"]["Scales"]


def test_the_commands_that_package_give_the_same_bytes_and_a_key(tmp_path: Path) -> None:
    packaging = [line for line in commands(STACK) if line.startswith(("tar ", "KEY="))]
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


def test_the_command_that_deploys_gives_what_has_no_default() -> None:
    (deploy,) = (line for line in commands(STACK) if line.startswith("aws cloudformation deploy"))
    given = re.findall(r"(\w+)=", deploy.partition("--parameter-overrides")[2])
    assert set(given) == {name for name, one in PARAMETERS.items() if "Default" not in one}
