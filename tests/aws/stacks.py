"""Stacks of CloudFormation on moto, and their resources compared with the requests of `up`.

moto's CloudFormation cannot create alarms and scaling, and ignores the name of the endpoint. This module adds that.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.cloudformation import parsing
from moto.sagemaker.models import FakeEndpoint

from container import contract
from tests.aws import aws_account
from tests.aws.aws_account import INSTANCE, REGION
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.steps.monitoring.monitoring import MonitoringStep
from tools.deploy.steps.preparation.role import RoleStep
from tools.deploy.steps.serving.endpoint import EndpointStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.rollback_alarm import RollbackAlarmStep
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.remote.aws import Aws


def parsed(value: Any) -> Any:
    """Parse strings that hold JSON: CloudFormation accepts "1" for 1 and "true" for true, and policies as strings."""
    if isinstance(value, dict):
        return {key: parsed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [parsed(one) for one in value]
    try:
        return parsed(json.loads(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def without_no_value(value: Any) -> Any:
    """Remove AWS::NoValue from lists, where moto leaves it as None."""
    if isinstance(value, dict):
        return {key: without_no_value(one) for key, one in value.items()}
    return [without_no_value(one) for one in value if one is not None] if isinstance(value, list) else value


def without(value: Any, *names: str) -> Any:
    """Return a copy of the value without the keys of these names, at any depth."""
    if isinstance(value, list):
        return [without(one, *names) for one in value]
    return {k: without(v, *names) for k, v in value.items() if k not in names} if isinstance(value, dict) else value


def without_empty(properties: Any) -> Any:
    """Return the properties without empty lists: an alarm without a list of actions is one with an empty list."""
    return {k: v for k, v in properties.items() if v != []} if isinstance(properties, dict) else properties


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


@contextmanager
def recorded_stacks(patch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Run an empty account, and yield the properties of the resources of each new stack, all functions resolved."""
    seen: dict[str, Any] = {}
    parse = parsing.parse_resource_and_generate_name

    def record(logical_id: str, resource_json: Any, resources_map: Any) -> Any:
        resource = parse(logical_id, resource_json, resources_map)
        if resource:
            resource[1]["Properties"] = without_no_value(resource[1]["Properties"])
            seen[logical_id] = parsed(resource[1]["Properties"])
        return resource

    patch.setattr(parsing, "parse_resource_and_generate_name", record)
    patch.setattr(FakeEndpoint, "cloudformation_name_type", staticmethod(lambda: "EndpointName"))
    for kind in (
        "CloudWatch::Alarm",
        "ApplicationAutoScaling::ScalableTarget",
        "ApplicationAutoScaling::ScalingPolicy",
        "Logs::MetricFilter",
    ):
        patch.setitem(parsing.get_model_map(), f"AWS::{kind}", NameOnly)
    patch.setenv("AWS_DEFAULT_REGION", REGION)
    with aws_account.running(patch) as moto:
        aws_account.enter(moto, "http://127.0.0.1:9", patch)
        yield seen


def make_config(model_dir: Path, **values: Any) -> DeploymentConfig:
    """Return a configuration of the tool that corresponds to the stack of `make_stack`."""
    (model_dir / "tokenizer.json").write_text("{}")
    (model_dir / "model_int8.pt").write_bytes(b"int8")
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/bert-qa:{contract.VERSION}"
    fixed = {"region": REGION, "bucket": "models", "image_uri": uri, "model_dir": model_dir}
    if "instance_pools" not in values:
        fixed["instance"] = INSTANCE
    return DeploymentConfig(**{**fixed, "environment": {"PRECISIONS": "INT8"}, **values})


def requests_of_up(config: DeploymentConfig) -> dict[str, list[dict[str, Any]]]:
    """Return the parameters of the last requests that `up` sends, for a new endpoint and an update.

    Each operation has one request, or one for each variant.
    """
    seen: dict[str, list[dict[str, Any]]] = {}
    session = boto3.Session()
    session.events.register(
        "provide-client-params", lambda params, model, **_: seen.setdefault(model.name, []).append(parsed(params))
    )
    for version in (config.model_copy(update={"startup_seconds": config.startup_seconds + 1}), config):
        deployment = Deployment(Aws(REGION, session=session), version, print)
        for step in (RoleStep, ModelsStep, EndpointConfigStep, RollbackAlarmStep, EndpointStep, ScalingStep):
            step(deployment).apply()
    several = ("CreateModel", "PutMetricAlarm", "RegisterScalableTarget", "PutScalingPolicy")
    return {
        operation: [without(one, "Tags") for one in requests[-len(config.variants) if operation in several else -1 :]]
        for operation, requests in seen.items()
    }


def monitoring_of_up(config: DeploymentConfig) -> dict[str, Any]:
    """Return the requests of `up` for alarms, filters and the dashboard, by the names that the template gives them."""
    seen: dict[str, dict[str, Any]] = {}

    def see(params: dict[str, Any], model: Any, **_: Any) -> None:
        request = parsed(params)
        if model.name == "PutMetricAlarm":
            label = request["AlarmName"].removeprefix(f"{config.name}-")
            _, _, kind = label.rpartition("-") if "errors" in label or "latency" in label else ("", "", label)
            prefix = "Fp32" if label.startswith("FP32") else ""
            seen[f"{prefix}{kind.title().replace('-', '')}Alarm"] = without(request, "Tags")
        elif model.name == "PutMetricFilter":
            name = request.pop("filterName").removeprefix(f"{config.name}-")
            seen[f"{name.title().replace('-', '')}Filter"] = _capitalized(request)
        elif model.name == "PutDashboard":
            seen["Dashboard"] = without(request, "Tags")

    session = boto3.Session()
    session.events.register("provide-client-params", see)
    MonitoringStep(Deployment(Aws(REGION, session=session), config, print)).apply()
    return seen


def _capitalized(value: Any) -> Any:
    """Return a copy whose keys begin with a capital letter, as in CloudFormation."""
    if isinstance(value, list):
        return [_capitalized(one) for one in value]
    return {k[0].upper() + k[1:]: _capitalized(v) for k, v in value.items()} if isinstance(value, dict) else value


def assert_same_as_up(resolved: dict[str, Any], config: DeploymentConfig) -> None:
    """Compare the resources of a stack with the requests of `up`. The names that AWS generates are not compared."""
    up = requests_of_up(config)
    (policy,) = resolved["Role"]["Policies"]
    expected = {
        "Role": {
            "AssumeRolePolicyDocument": up["CreateRole"][0]["AssumeRolePolicyDocument"],
            "Policies": [{key: up["PutRolePolicy"][0][key] for key in policy}],
        },
        "EndpointConfig": without(up["CreateEndpointConfig"][0], "EndpointConfigName"),
        "Endpoint": up["UpdateEndpoint"][0],
    }
    for prefix, request in zip(("", "Fp32"), up["CreateModel"], strict=False):
        expected[f"{prefix}Model"] = without(request, "ModelName")
    for prefix, request in zip(("", "Fp32"), up.get("PutMetricAlarm", ()), strict=False):
        expected[f"{prefix}Alarm"] = request
    scaling = zip(("", "Fp32"), up.get("RegisterScalableTarget", ()), up.get("PutScalingPolicy", ()), strict=False)
    for prefix, target, policy in scaling:
        expected[f"{prefix}ScalableTarget"] = target
        expected[f"{prefix}ScalingPolicy"] = without(policy, *target)
    expected |= monitoring_of_up(config)
    generated = ("ExecutionRoleArn", "ModelName", "EndpointConfigName", "ScalingTargetId")  # these names differ
    for resources in (resolved, expected):
        for alarm in (resources[name] for name in ("Alarm", "Fp32Alarm") if name in resources):
            assert alarm["Dimensions"][2].pop("Value")  # the generated name of the configuration
    for name in {*resolved, *expected}:
        present, wanted = (without_empty(without(one.get(name), *generated)) for one in (resolved, expected))
        assert present == wanted, f"{name}:\n{json.dumps(present, indent=1)}\n{json.dumps(wanted, indent=1)}"
