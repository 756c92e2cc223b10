"""The two templates in deploy/: valid by their schemas, no other than what the tools do; their comments' commands work.

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
import kubernetes_validate
import pytest
import yaml
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from cfnlint.decode.cfn_yaml import loads
from moto.cloudformation import parsing
from moto.core.responses import ActionResult
from moto.sagemaker.models import FakeEndpoint
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer

from container import contract, healthcheck
from container.cpu import Cpu
from container.settings import Settings
from serve.lane_plan import Choices, make_plan
from tests.test_serve_lane_plan import BERT_BASE
from tools.aws import Aws
from tools.deploy import lifecycle
from tools.deploy.access import Role
from tools.deploy.config import Deployment
from tools.deploy.endpoint import Endpoint
from tools.deploy.models import EndpointConfig, Models
from tools.deploy.scaling import SAFETY_FACTOR, RollbackAlarm, Scaling
from tools.deploy.site import Site

ROOT = Path(__file__).parents[1]
REGION = "eu-west-1"
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

MANIFEST = (ROOT / "deploy" / "kubernetes.yaml").read_text()
OBJECTS: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(MANIFEST)}
POD = OBJECTS["Deployment"]["spec"]["template"]
SERVER = POD["spec"]["containers"][0]


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
    comment = text.partition("\nAWSTemplateFormatVersion")[0].partition("\napiVersion")[0]
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


def _update_endpoint(self: Any) -> ActionResult:
    """What moto lacks."""
    asked = json.loads(self.body)
    endpoint = self.sagemaker_backend.endpoints[asked["EndpointName"]]
    endpoint.endpoint_config_name = asked["EndpointConfigName"]
    return ActionResult({"EndpointArn": endpoint.arn})


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
    monkeypatch.setattr(SageMakerResponse, "update_endpoint", _update_endpoint, raising=False)
    for kind in (
        "CloudWatch::Alarm",
        "ApplicationAutoScaling::ScalableTarget",
        "ApplicationAutoScaling::ScalingPolicy",
    ):
        monkeypatch.setitem(parsing.get_model_map(), f"AWS::{kind}", Unmade)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()
    yield seen
    server.stop()


def configuration(model_dir: Path, **values: Any) -> Deployment:
    """For the tool. moto's list of instance types ends before ml.c6i."""
    (model_dir / "tokenizer.json").write_text("{}")
    (model_dir / "model_int8.pt").write_bytes(b"int8")
    uri = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/bert-qa:{contract.VERSION}"
    fixed = {"region": REGION, "instance": "ml.c5.2xlarge", "bucket": "models", "image_uri": uri}
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


def test_kubernetes_schemas_find_nothing() -> None:
    (oldest,) = re.findall(r"\((\d\.\d+) or newer\)", MANIFEST)
    versions = [version for version in kubernetes_validate.utils.all_versions() if version >= oldest]
    assert len(versions) > 1
    for version in versions:
        for one in OBJECTS.values():
            kubernetes_validate.validate(one, version, strict=True)


def test_the_command_that_applies_names_the_image() -> None:
    (apply,) = (line for line in commands(MANIFEST) if line.startswith("sed "))
    done = subprocess.run(apply.partition(" | ")[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    server = next(yaml.safe_load_all(done.stdout))["spec"]["template"]["spec"]["containers"][0]
    assert SERVER["image"] == f"bert-qa:{contract.VERSION}"
    assert server == {**SERVER, "image": f"REGISTRY/{SERVER['image']}"}
    pushed = next(line for line in commands(MANIFEST) if "docker push" in line)
    assert pushed.endswith(f"docker push {server['image']}")


def test_probes_and_metrics_are_at_the_servers_port_and_paths(client: httpx.Client) -> None:
    (port,) = SERVER["ports"]
    assert port["containerPort"] == contract.PORT
    assert OBJECTS["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = SERVER[probe]["httpGet"]
        assert get["port"] == port["name"]
        assert client.get(get["path"]).status_code == 200
        assert SERVER[probe]["timeoutSeconds"] >= healthcheck.TIMEOUT_SECONDS
    notes = POD["metadata"]["annotations"]
    assert notes["prometheus.io/port"] == str(contract.PORT)
    assert "bertqa_rungs_warm" in client.get(notes["prometheus.io/path"]).text


def test_no_probe_kills_a_server_that_loads() -> None:
    startup, liveness = (
        SERVER[probe]["periodSeconds"] * SERVER[probe]["failureThreshold"]
        for probe in ("startupProbe", "livenessProbe")
    )
    assert liveness >= startup >= Deployment.model_fields["startup_seconds"].default


def test_it_is_killed_no_sooner_than_the_contract_says() -> None:
    command, seconds = SERVER["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert POD["spec"]["terminationGracePeriodSeconds"] >= int(seconds) + contract.STOP_TIMEOUT_SECONDS


def test_the_user_is_the_images() -> None:
    (user,) = re.findall(r"RUN_AS_USER=(\d+)", (ROOT / "Dockerfile").read_text())
    context = POD["spec"]["securityContext"]
    assert context["runAsUser"] == context["runAsGroup"] == int(user)


@pytest.mark.parametrize("model", ["BERT-base", "demo"])
def test_memory_is_enough_for_every_lane(model: str, demo_dir: Path) -> None:
    limits = SERVER["resources"]["limits"]
    assert SERVER["resources"]["requests"] == limits
    memory_mb = int(limits["memory"].removesuffix("Gi")) * 2**30 / 1e6
    manifest = json.loads((demo_dir / "manifest.json").read_text())["precisions"]
    demo = {precision: one["size_bytes"] / 1e6 for precision, one in manifest.items()}
    files = BERT_BASE if model == "BERT-base" else demo
    cpu = Cpu("any", "AVX512_CORE_VNNI", (tuple(range(64)),), quota=int(limits["cpu"]))
    best, fitting = (make_plan(cpu, Choices(guard_lane=True), files, 384, memory) for memory in (None, memory_mb))
    assert fitting == best
    assert f"{best.memory_mb / 1000:.1f} GB" in MANIFEST
    readme = re.findall(r"takes ([\d.]+) GB", (ROOT / "README.md").read_text())
    assert 0 < max(map(float, readme)) * 1000 < memory_mb


def test_it_scales_at_the_same_share_of_saturation_as_the_endpoint() -> None:
    scaler = OBJECTS["HorizontalPodAutoscaler"]["spec"]
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == SAFETY_FACTOR * 100
    assert scaler["scaleTargetRef"]["name"] == OBJECTS["Deployment"]["metadata"]["name"]


def test_all_selectors_find_the_pods() -> None:
    (spread,) = POD["spec"]["topologySpreadConstraints"]
    (apart,) = POD["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    selectors = [
        *(one["labelSelector"]["matchLabels"] for one in (spread, apart)),
        *(OBJECTS[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")),
        OBJECTS["Service"]["spec"]["selector"],
    ]
    for selector in selectors:
        assert selector.items() <= POD["metadata"]["labels"].items()
