"""What the server reports about itself: its state, its log, its metrics and the description of its API."""

import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from model_loader import manifest
from serve.api.error_response import ERROR_STATUS
from tests.server.questions import CONTEXT, QUESTION, ask
from tests.server.server_process import row_of_request
from tests.waiting import wait_until
from tools.local_server import LocalServer

IDLE = ("bertqa_requests_in_flight", "bertqa_queue_windows")  # gauges that are 0 while nothing is in work


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_returns_200_and_an_empty_body(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/ping")
    assert (response.status_code, response.content) == (200, b"")


def test_info_describes_the_model_the_lanes_and_the_rungs(client: httpx.Client, demo_dir: Path) -> None:
    made = manifest.read(demo_dir)
    info = client.get("/info").json()
    assert info["state"] == "ready"
    assert info["model"]["has_manifest"]
    int8 = info["precisions"]["INT8"]
    assert int8["engine"] == made.precisions["INT8"].engine
    # IPEX fuses 7 groups in each of the 6 layers, and 2 more. OpenVINO has 6 linear layers in each, and 1 more.
    assert int8["fused_groups"] == {"ipex-torchscript": 44, "openvino": 37}[int8["engine"]]
    assert len(int8["sha256"]) == 64
    assert info["rungs"] == list(range(16, 385, 16))
    assert all(lane["is_alive"] for lane in info["lanes"])
    assert all(lane["warm_rungs"] == {"INT8": info["rungs"], "FP32": info["rungs"]} for lane in info["lanes"])
    assert info["versions"]["torch"] == (version("torch") if find_spec("torch") else None)


def test_the_execution_parameters_keep_the_platforms_limits(client: httpx.Client) -> None:
    body = client.get("/execution-parameters").json()
    assert set(body) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert body["BatchStrategy"] == "MULTI_RECORD"
    assert body["MaxConcurrentTransforms"] * body["MaxPayloadInMB"] <= 100


def test_metrics_count_requests_stages_windows_and_lanes(client: httpx.Client, demo_dir: Path) -> None:
    engine = manifest.read(demo_dir).precisions["INT8"].engine

    def metrics() -> str:
        return client.get("/metrics").text

    ask(client, question=QUESTION, context=CONTEXT)
    # A request of another test whose client has left, or a window of the guard, may be in work still.
    wait_until("the server is idle", lambda: all(f"\n{name} 0.0\n" in metrics() for name in IDLE))
    text = metrics()
    for name in (
        'bertqa_requests_total{status="200"}',
        'bertqa_answered_requests_total{form="sample",precision="INT8"}',
        'bertqa_request_seconds_count{outcome="answered"}',
        'bertqa_stage_seconds_count{stage="inference"}',
        "bertqa_windows_total{lane_kind=",
        "bertqa_ready 1.0",
        "bertqa_rungs_planned 24.0",
        'bertqa_lanes_up{lane_kind="narrow"} ',
        'bertqa_window_cost_seconds{lane_kind="narrow",precision="INT8"}',
        'bertqa_build_info{python="3.11',
        f'bertqa_model_info{{engine="{engine}",name="',
    ):
        assert name in text, name
    assert "_created" not in text


def test_metrics_have_the_cpu_time_and_the_memory_of_each_kind_of_process(client: httpx.Client) -> None:
    def of_processes(name: str) -> dict[str, float]:
        (family,) = (each for each in text_string_to_metric_families(client.get("/metrics").text) if each.name == name)
        return {sample.labels["process"]: sample.value for sample in family.samples}

    kinds = {"gunicorn", "http", "zygote", "template", *(lane["kind"] for lane in client.get("/info").json()["lanes"])}
    memory = of_processes("bertqa_process_resident_memory_bytes")
    assert set(memory) - {"text"} == kinds
    assert all(memory[kind] > 10e6 for kind in kinds)
    before = of_processes("bertqa_process_cpu_seconds")
    ask(client, question=QUESTION, context=CONTEXT * 50)
    after = of_processes("bertqa_process_cpu_seconds")
    assert all(after[kind] >= before[kind] for kind in kinds)
    assert sum(after[kind] for kind in kinds) > sum(before[kind] for kind in kinds)


def test_promtool_finds_no_fault_in_the_names_of_metrics(client: httpx.Client) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing; `apt-get install prometheus` brings it")
    text = client.get("/metrics").content
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_prometheus_gets_openmetrics(client: httpx.Client) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    response = client.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in parse_openmetrics(response.text)} >= {"bertqa_requests", "bertqa_build_info"}


def test_the_log_has_one_line_for_a_request_and_none_of_its_texts(client: httpx.Client, server: LocalServer) -> None:
    secret = "Xylophonist"
    response = client.post("/invocations", json={"question": f"Who is {secret}?", "context": f"{secret} is a name."})
    row = row_of_request(server, response.headers["x-request-id"])
    assert server.log
    log = server.log.read_text()
    assert (row["status"], row["form"], row["precision"], row["windows"]) == (200, "sample", "INT8", 1)
    assert row["inference_ms"] > 0
    assert secret not in log
    assert log.count("/ping answers 200") <= 1  # the server logs only the changes of this answer


def test_the_inference_id_is_the_request_id(client: httpx.Client) -> None:
    headers = {"X-Amzn-SageMaker-Inference-Id": "order-66"}
    response = client.post("/invocations", json={"question": "a", "context": "b"}, headers=headers)
    assert response.headers["x-request-id"] == "order-66"
    assert client.post("/invocations", json={}, headers=headers).json()["request_id"] == "order-66"


def test_the_documentation_page_loads_nothing_from_other_servers(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        path = next(part for part in page.split('"') if part.endswith(asset))
        assert client.get(path).status_code == 200


def test_the_openapi_description_has_the_requests_and_all_errors_of_invocations(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    operation = described["paths"]["/invocations"]["post"]
    of_models_only = {"404", "409", "507"}
    of_servers_with_keys = {"401"}
    of_no_operation = {"405"}
    of_others = of_models_only | of_servers_with_keys | of_no_operation
    assert set(operation["responses"]) == {"200", *map(str, ERROR_STATUS.values())} - of_others
    names = set(described["components"]["schemas"])
    assert {"SampleRequest", "HuggingFaceRequest", "InstancesRequest", "Parameters", "ErrorBody"} <= names
