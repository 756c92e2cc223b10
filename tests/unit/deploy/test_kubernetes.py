"""The Kubernetes manifest: it is valid and fits the server, and the commands in its comment work."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from container import contract, healthcheck
from container.cpu import Cpu
from serve import arguments
from serve.lanes.memory_model import ModelSize
from serve.lanes.plan import Choices, make_plan
from serve.sizing import request_mib, resources_lines
from tests.unit.deploy.comment_commands import commands_in_comment
from tests.unit.serve.lanes.model_files import BERT_BASE
from tools.deploy.config import DeploymentConfig
from tools.deploy.steps.serving.scaling_policies import SAFETY_FACTOR

ROOT = Path(__file__).parents[3]
MANIFEST = (ROOT / "deploy" / "kubernetes.yaml").read_text()
OBJECTS: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(MANIFEST)}
POD = OBJECTS["Deployment"]["spec"]["template"]
SERVER = POD["spec"]["containers"][0]


def test_the_manifest_is_valid_in_every_supported_version() -> None:
    (oldest,) = re.findall(r"\((\d\.\d+) or newer\)", MANIFEST)
    versions = [version for version in kubernetes_validate.utils.all_versions() if version >= oldest]
    assert len(versions) > 1
    for version in versions:
        for one in OBJECTS.values():
            kubernetes_validate.validate(one, version, strict=True)


def test_the_command_that_applies_the_manifest_sets_the_pushed_image() -> None:
    (apply,) = (line for line in commands_in_comment(MANIFEST) if line.startswith("sed "))
    done = subprocess.run(apply.partition(" | ")[0], shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    server = next(yaml.safe_load_all(done.stdout))["spec"]["template"]["spec"]["containers"][0]
    assert SERVER["image"] == f"bert-qa:{contract.VERSION}"
    assert server == {**SERVER, "image": f"REGISTRY/{SERVER['image']}"}
    pushed = next(line for line in commands_in_comment(MANIFEST) if "docker push" in line)
    assert pushed.endswith(f"docker push {server['image']}")


def test_probes_and_metrics_use_the_port_and_the_paths_of_the_server(client: httpx.Client) -> None:
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


def test_no_probe_stops_a_server_that_loads_its_model() -> None:
    startup, liveness = (
        SERVER[probe]["periodSeconds"] * SERVER[probe]["failureThreshold"]
        for probe in ("startupProbe", "livenessProbe")
    )
    assert liveness >= startup >= DeploymentConfig.model_fields["startup_seconds"].default


def test_the_server_has_as_much_time_to_stop_as_on_sagemaker() -> None:
    command, seconds = SERVER["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert POD["spec"]["terminationGracePeriodSeconds"] >= int(seconds) + contract.STOP_TIMEOUT_SECONDS


def test_the_user_is_the_user_of_the_image() -> None:
    (user,) = set(re.findall(r"RUN_AS_USER=(\d+)", (ROOT / "Dockerfile").read_text()))  # of both targets
    context = POD["spec"]["securityContext"]
    assert context["runAsUser"] == context["runAsGroup"] == int(user)


@pytest.mark.parametrize("model", ["BERT-base", "demo"])
def test_the_memory_is_enough_for_every_lane(model: str, demo_dir: Path) -> None:
    limits = SERVER["resources"]["limits"]
    assert SERVER["resources"]["requests"] == limits
    memory_mb = arguments.parse(["--plan", "--memory", limits["memory"]]).memory
    manifest = json.loads((demo_dir / "manifest.json").read_text())["precisions"]
    demo = {precision: one["size_bytes"] / 1e6 for precision, one in manifest.items()}
    files = BERT_BASE if model == "BERT-base" else demo
    cpu = Cpu("any", "AVX512_CORE_VNNI", (tuple(range(64)),), quota=int(limits["cpu"]))
    best, fitting = (
        make_plan(cpu, Choices(guard_lane=True), ModelSize(files, 384), memory) for memory in (None, memory_mb)
    )
    assert fitting == best
    assert resources_lines(best, request_mib(best, None))[-1].strip() in MANIFEST or model != "BERT-base"
    assert f"{best.memory_mb / 1000:.1f} GB" in MANIFEST
    readme = re.findall(r"takes ([\d.]+) GB", (ROOT / "README.md").read_text())
    assert 0 < max(map(float, readme)) * 1000 < memory_mb


def test_pods_scale_at_the_same_share_of_saturation_as_endpoints() -> None:
    scaler = OBJECTS["HorizontalPodAutoscaler"]["spec"]
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == SAFETY_FACTOR * 100
    assert scaler["scaleTargetRef"]["name"] == OBJECTS["Deployment"]["metadata"]["name"]


def test_all_selectors_match_the_pods() -> None:
    (spread,) = POD["spec"]["topologySpreadConstraints"]
    (apart,) = POD["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    selectors = [
        *(one["labelSelector"]["matchLabels"] for one in (spread, apart)),
        *(OBJECTS[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")),
        OBJECTS["Service"]["spec"]["selector"],
    ]
    for selector in selectors:
        assert selector.items() <= POD["metadata"]["labels"].items()
