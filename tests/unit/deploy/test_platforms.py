"""The manifests for KServe and Vertex AI: they follow the published schemas, and fit the server."""

import json
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from container import contract, healthcheck
from container.settings import Settings, variable_names

ROOT = Path(__file__).parents[3]
SCHEMAS = Path(__file__).parent / "schemas"
KSERVE = yaml.safe_load((ROOT / "deploy" / "kserve.yaml").read_text())
PREDICTOR = KSERVE["spec"]["predictor"]
(SERVER,) = PREDICTOR["containers"]
VERTEX = json.loads((ROOT / "deploy" / "vertex-model.json").read_text())
# The fields of a predictor that are KServe's own; the others are those of a pod.
OF_KSERVE = {"minReplicas", "maxReplicas", "timeout"}


def problems(schema: str, document: Any) -> list[str]:
    validator = Draft202012Validator(json.loads((SCHEMAS / schema).read_text()))
    return [error.message for error in validator.iter_errors(document)]


def test_the_inference_service_follows_kserves_schema() -> None:
    assert problems("kserve_inference_service.json", KSERVE) == []
    wrong = {**KSERVE, "spec": {"predictor": {**PREDICTOR, "minReplica": 1, "timeout": "60"}}}
    assert len(problems("kserve_inference_service.json", wrong)) == 2


def test_its_pod_is_valid_in_every_supported_version_of_kubernetes() -> None:
    pod = {name: value for name, value in PREDICTOR.items() if name not in OF_KSERVE}
    versions = [version for version in kubernetes_validate.utils.all_versions() if version >= "1.27"]
    assert len(versions) > 1
    for version in versions:
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}, version, strict=True
        )


def test_the_inference_service_asks_the_server_under_its_name(client: httpx.Client) -> None:
    (name,) = (each["value"] for each in SERVER["env"] if each["name"] == "MODEL_NAME")
    assert name == KSERVE["metadata"]["name"] == Settings.model_fields["model_name"].default
    probe = SERVER["readinessProbe"]
    assert client.get(probe["httpGet"]["path"]).json() == {"name": name, "ready": True}
    assert probe["timeoutSeconds"] >= healthcheck.TIMEOUT_SECONDS
    assert [port["containerPort"] for port in SERVER["ports"]] == [contract.PORT]
    assert PREDICTOR["timeout"] > contract.REQUEST_TIMEOUT_SECONDS
    assert SERVER["image"] == f"bert-qa:{contract.VERSION}"


def test_the_model_of_vertex_ai_follows_its_schema() -> None:
    assert problems("vertex_upload_model.json", VERTEX) == []
    spec = VERTEX["model"]["containerSpec"]
    wrong = {"model": {**VERTEX["model"], "containerSpec": {**spec, "port": 1, "healthRoute": 5}}}
    assert len(problems("vertex_upload_model.json", wrong)) == 2


def test_the_model_of_vertex_ai_fits_the_server(client: httpx.Client) -> None:
    spec = VERTEX["model"]["containerSpec"]
    assert spec["ports"] == [{"containerPort": contract.PORT}]
    assert spec["imageUri"].endswith(f"/bert-qa:{contract.VERSION}")
    assert client.get(spec["healthRoute"]).status_code == 200
    body = {"instances": [{"question": "Who built it?", "context": "Zoë Müller built it."}]}
    assert client.post(spec["predictRoute"], json=body).json()["predictions"][0]["answer"] == "Zoë Müller"
    names = {name for field in Settings.model_fields for name in variable_names(field)}
    assert {each["name"] for each in spec["env"]} <= names


@pytest.mark.parametrize("file", ["kserve.yaml", "vertex-model.json"])
def test_the_page_of_platforms_names_the_file(file: str) -> None:
    assert f"deploy/{file}" in (ROOT / "docs" / "platforms.md").read_text()
