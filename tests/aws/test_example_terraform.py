"""The Terraform example: its arguments are those of the provider's documentation, and it asks for the same as `up`.

It is never applied: the provider would have to be downloaded, and nobody here has an AWS account.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import hcl2
import pytest

from tests.aws.aws_account import REGION
from tests.aws.example_environments import EXAMPLES
from tests.aws.stacks import make_config
from tests.aws.terraform_arguments import ATTRIBUTES, DATA_SOURCES, META_ARGUMENTS, RESOURCES
from tools.deploy.config import DeploymentConfig
from tools.deploy.names import Names
from tools.deploy.steps.monitoring import definitions
from tools.deploy.steps.preparation.role_policy import execution_policy
from tools.deploy.steps.serving.rollback_alarm import DATAPOINTS, DATAPOINTS_TO_ALARM, MOST_FAILED_SHARE, PERIOD_SECONDS
from tools.deploy.steps.serving.scaling_policies import METRICS
from tools.deploy.steps.serving.update_policy import WATCH_SECONDS
from tools.deploy.variants import WHOLE_VARIANT

FILES = sorted((EXAMPLES / "terraform").glob("*.tf"))
TEXT = "\n".join(path.read_text() for path in FILES)
CODE = re.sub(r"#.*", "", TEXT)
PARSED = [hcl2.loads(path.read_text()) for path in FILES]


def plain(value: Any) -> Any:
    """Remove the quotes that python-hcl2 keeps around texts and labels, and the keys that it adds."""
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value[1:-1] if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"' else value


def blocks(kind: str) -> Iterator[dict[str, Any]]:
    """Yield the blocks of a kind, such as resource, each under its labels."""
    for parsed in PARSED:
        yield from plain(parsed.get(kind, []))


def labelled(kind: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the bodies of resources or data sources by their type and name."""
    return {
        (of_type, name): body
        for block in blocks(kind)
        for of_type, named in block.items()
        for name, body in named.items()
    }


def check_block(body: dict[str, Any], known: dict[str, Any], path: str) -> None:
    """Check that each argument is known and each required one is there. A dynamic block counts like its content."""
    present = {name: [value] if isinstance(value, dict) else value for name, value in body.items() if name != "dynamic"}
    for dynamic in body.get("dynamic", []):
        for name, one in dynamic.items():
            assert set(one) <= {"for_each", "iterator", "content"}, path
            present[name] = [*present.get(name, []), *one["content"]]
    arguments = {name.removesuffix("!"): nested for name, nested in known.items()}
    required = {name.removesuffix("!") for name in known if name.endswith("!")}
    assert set(present) <= set(arguments), (
        f"{path} has {set(present) - set(arguments)}, which the provider does not know"
    )
    assert required <= set(present), f"{path} lacks {required - set(present)}"
    for name, nested in arguments.items():
        if nested is not None and name in present:
            for one in present[name]:
                check_block(one, nested, f"{path}.{name}")


@pytest.mark.parametrize(("kind", "known"), [("resource", RESOURCES), ("data", DATA_SOURCES)])
def test_every_argument_is_in_the_documentation_of_the_provider(kind: str, known: dict[str, dict[str, Any]]) -> None:
    found = labelled(kind)
    assert {of_type for of_type, _ in found} == set(known)
    for (of_type, name), body in found.items():
        own = {key: value for key, value in body.items() if key not in META_ARGUMENTS}
        check_block(own, known[of_type], f"{of_type}.{name}")


def test_the_check_of_arguments_sees_mistakes() -> None:
    with pytest.raises(AssertionError, match=r"x\.routing_config has \{'strategy'\}"):
        check_block({"routing_config": [{"strategy": "y"}]}, {"routing_config": {"routing_strategy!": None}}, "x")
    dynamic = {"canary_size": {"for_each": "${[1]}", "content": [{"type": "y"}]}}
    with pytest.raises(AssertionError, match=r"x\.canary_size lacks \{'value'\}"):
        check_block({"dynamic": [dynamic]}, {"canary_size": {"type!": None, "value!": None}}, "x")


def test_everything_that_is_referred_to_exists_and_everything_declared_is_used() -> None:
    for prefix, kind in (("var", "variable"), ("local", "locals")):
        declared = {name for block in blocks(kind) for name in block}
        assert set(re.findall(rf"\b{prefix}\.(\w+)", CODE)) == declared
    resources, data = labelled("resource"), labelled("data")
    referred = re.findall(r"\b(data\.)?(aws_\w+)\.(\w+)(?:\[(?:0|\*)\])?(?:\.(\w+))?", CODE)
    assert referred
    for is_data, of_type, name, attribute in referred:
        assert (of_type, name) in (data if is_data else resources)
        arguments = (DATA_SOURCES if is_data else RESOURCES)[of_type]
        known = {one.removesuffix("!") for one in arguments} | ATTRIBUTES.get(of_type, set())
        assert not attribute or attribute in known, f"{of_type}.{name}.{attribute}"


def test_the_role_has_the_permissions_of_the_role_that_up_creates(tmp_path: Path) -> None:
    config = make_config(tmp_path, rollback_alarm=True)
    wanted = execution_policy(config, Names(config, "123456789012", "aws"))
    document = labelled("data")["aws_iam_policy_document", "execution"]
    conditional = document["dynamic"][0]["statement"]["content"]
    found = [sorted(one["actions"]) for one in [*document["statement"], *conditional]]
    assert found == [sorted(statement["Action"]) for statement in wanted]
    by_actions = {tuple(sorted(one["actions"])): one for one in document["statement"]}
    for statement in wanted:
        one = by_actions.get(tuple(sorted(statement["Action"])), {})
        conditions = {item["test"]: {item["variable"]: item["values"]} for item in one.get("condition", [])}
        if "cloudwatch:namespace" in str(statement.get("Condition")):
            assert conditions == statement["Condition"]
        if one:
            assert bool(conditions) == ("Condition" in statement)
            assert (one["resources"] == ["*"]) == (statement["Resource"] == "*")


def test_values_are_those_of_the_tool() -> None:
    resources = labelled("resource")
    alarm = resources["aws_cloudwatch_metric_alarm", "rollback"]
    watched = ("period", "evaluation_periods", "datapoints_to_alarm", "threshold")
    assert [alarm[name] for name in watched] == [PERIOD_SECONDS, DATAPOINTS, DATAPOINTS_TO_ALARM, MOST_FAILED_SHARE]
    assert set(alarm["dimensions"]) == {"EndpointName", "VariantName", "EndpointConfigName"}
    assert re.findall(r"_wait_in_seconds\s*= (\d+)", CODE) == [str(WATCH_SECONDS)]
    assert f'variant = "{WHOLE_VARIANT}"' in CODE
    assert METRICS["invocations"] in CODE
    names = {
        "name": "name", "instance_type": "instance", "instances": "instances", "max_instances": "max_instances",
        "startup_seconds": "startup_seconds", "rollback_alarm": "rollback_alarm", "tags": "tags",
        "alarms": "alarms", "alarm_topic": "alarm_topic",
    }  # fmt: skip
    variables = {name: body for block in blocks("variable") for name, body in block.items()}
    for variable, field in names.items():
        assert variables[variable]["default"] == DeploymentConfig.model_fields[field].default, variable


def evaluated(value: Any, names: dict[str, Any]) -> Any:
    """Replace each ${...} by the value of that name. A text that is nothing else becomes the value itself."""
    if isinstance(value, dict):
        return {key: evaluated(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [evaluated(one, names) for one in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{([\w.]+)\}", value)
    if whole:
        return names[whole[1]]
    return re.sub(r"\$\{([\w.]+)\}", lambda match: str(names[match[1]]), value).replace('\\"', '"')


def instances_of(of_type: str, name: str, config: DeploymentConfig) -> list[dict[str, Any]]:
    """Return the arguments of each instance of a resource with for_each, for alarms = true."""
    body = labelled("resource")[of_type, name]
    declared = {key: value for block in blocks("locals") for key, value in block.items()}
    (values,) = re.findall(r"^\$\{\{for name, \w+ in local\.(\w+) : name => \w+ if var\.alarms\}\}$", body["for_each"])
    names = {
        "var.name": config.name,
        "var.tags": {},
        "local.variant": declared["variant"],
        "local.alarm_actions": [config.alarm_topic],
        "aws_sagemaker_endpoint.endpoint.name": config.name,
    }
    return [
        evaluated(body, {**names, "each.key": key, **{f"each.value.{k}": evaluated(v, {}) for k, v in value.items()}})
        for key, value in declared[values].items()
    ]


def test_the_alarms_are_those_of_up() -> None:
    """The names of the provider's arguments are those of PutMetricAlarm in another spelling."""
    config = DeploymentConfig(alarms=True, alarm_topic=f"arn:aws:sns:{REGION}:123456789012:on-call")
    (actions,) = (block["alarm_actions"] for block in blocks("locals") if "alarm_actions" in block)
    assert actions == '${var.alarm_topic == "" ? [] : [var.alarm_topic]}'
    found = {}
    for name in ("variant", "log"):
        for alarm in instances_of("aws_cloudwatch_metric_alarm", name, config):
            given = {key.title().replace("_", ""): value for key, value in alarm.items() if value is not None}
            request = {key.replace("OkActions", "OKActions"): value for key, value in given.items()}
            dimensions = [{"Name": key, "Value": value} for key, value in request.get("Dimensions", {}).items()]
            found[request["AlarmName"]] = {**request, "Dimensions": dimensions}
            assert found[request["AlarmName"]].pop("ForEach")
            assert found[request["AlarmName"]].pop("Tags") == {}
    assert found == definitions.alarm_requests(config)


def test_the_metric_filters_are_those_of_up() -> None:
    config = DeploymentConfig(alarms=True)
    found = []
    for one in instances_of("aws_cloudwatch_log_metric_filter", "log", config):
        (count,) = one["metric_transformation"]
        transformation = {
            "metricName": count["name"],
            "metricNamespace": count["namespace"],
            "metricValue": count["value"],
            "defaultValue": count["default_value"],
            "unit": count["unit"],
        }
        request = {"logGroupName": one["log_group_name"], "filterName": one["name"], "filterPattern": one["pattern"]}
        found.append({**request, "metricTransformations": [transformation]})
    assert found == [definitions.filter_request(config, metric) for metric in definitions.LOG_METRICS]


def test_the_dashboard_is_that_of_up() -> None:
    config = DeploymentConfig(region=REGION)
    names = Names(config, "123456789012", "aws")
    dashboard = labelled("resource")["aws_cloudwatch_dashboard", "dashboard"]
    region = {"var.name": config.name, "data.aws_region.current.region": REGION}
    assert evaluated(dashboard["dashboard_name"], region) == names.dashboard
    assert dashboard["count"] == "${var.alarms ? 1 : 0}"
    (file,) = re.findall(r'templatefile\("\$\{path\.module\}/([\w.]+)"', dashboard["dashboard_body"])
    template = Template((EXAMPLES / "terraform" / file).read_text())
    alarms = names.arn("cloudwatch", "alarm")
    body = template.substitute(name=config.name, region=REGION, alarms=alarms)
    assert json.loads(body) == json.loads(definitions.dashboard_body(config, f"{alarms}:"))


@pytest.mark.parametrize("account", ["123456789012", "999999999999"])
def test_the_image_gives_the_repository_that_the_role_may_read(account: str, tmp_path: Path) -> None:
    (pattern,) = re.findall(r'image\s*= regex\("(.*)", var\.image_uri\)', CODE)
    uri = f"{account}.dkr.ecr.{REGION}.amazonaws.com/images/bert-qa:0.1.0"
    match = re.match(pattern.replace("\\\\", "\\"), uri)
    assert match
    config = make_config(tmp_path, image_uri=uri)
    statements = execution_policy(config, Names(config, "123456789012", "aws"))
    (wanted,) = (one["Resource"] for one in statements if "ecr:BatchGetImage" in one["Action"])
    assert f"arn:aws:ecr:{match[2]}:{match[1]}:repository/{match[3]}" == wanted


def test_terraform_finds_the_files_well_formed() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("the command terraform is not there")
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", EXAMPLES / "terraform"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
