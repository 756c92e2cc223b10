"""The routes of other platforms: Hugging Face's base URL and /health, KServe's V1 protocol, Vertex AI's contract."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.described_responses import VERTEX
from tests.server.questions import ANSWER, BODY, QUESTION
from tools.local_server import LocalServer


@pytest.fixture(scope="module")
def vertex(demo_dir: Path) -> Iterator[LocalServer]:
    """A server that is started with the variables of Vertex AI."""
    with LocalServer(demo_dir, {**VERTEX, "PRECISIONS": "INT8", "MODEL_NAME": "mine"}) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_health_is_an_alias_of_ping(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/health")
    assert (response.status_code, response.content) == (200, b"")


def test_the_base_url_answers_like_invocations(client: httpx.Client) -> None:
    bodies = [BODY, {"inputs": BODY}, {"inputs": [BODY, BODY]}, {"instances": [BODY]}]
    for body in bodies:
        assert client.post("/", json=body).json() == client.post("/invocations", json=body).json()
    lines = {"content": b'{"inputs": {}}\n', "headers": {"Content-Type": "application/jsonlines"}}
    assert client.post("/", **lines).headers["content-type"] == "application/jsonlines"  # type: ignore[arg-type]
    assert client.post("/", json={}).json()["error_type"] == "invalid_request"


def test_kserves_protocol_lists_the_model_says_that_it_is_ready_and_predicts(client: httpx.Client) -> None:
    assert client.get("/v1/models").json() == {"models": ["bert-qa"]}
    assert client.get("/v1/models/bert-qa").json() == {"name": "bert-qa", "ready": True}
    predicted = client.post("/v1/models/bert-qa:predict", json={"instances": [BODY, BODY]}).json()
    assert [one["answer"] for one in predicted["predictions"]] == [ANSWER, ANSWER]
    inputs = client.post("/v1/models/bert-qa:predict", json={"inputs": BODY}).json()
    assert inputs["answer"] == ANSWER


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/other"),
        ("GET", "/v1/models/BERT-QA"),
        ("POST", "/v1/models/other:predict"),
    ],
)
def test_another_name_gets_404(client: httpx.Client, method: str, path: str) -> None:
    response = client.request(method, path, json={"instances": [BODY]} if method == "POST" else None)
    assert (response.status_code, response.json()["error_type"]) == (404, "model_not_loaded")
    assert {"x-request-id", "x-amzn-sagemaker-custom-attributes"} <= set(response.headers)


@pytest.mark.parametrize("path", ["/v1/models/bert-qa:explain", "/v1/models/:predict", "/v1/models/a:b:predict"])
def test_a_verb_that_the_server_does_not_have_is_an_unknown_path(client: httpx.Client, path: str) -> None:
    response = client.post(path, json={"instances": [BODY]})
    assert (response.status_code, response.json()["error_type"]) == (404, "not_found")
    assert "/v1/models/{model_name}:predict" in response.json()["error"]


@pytest.mark.parametrize("form", ["instances with parameters", "raw"])
def test_vertex_ai_gets_its_health_and_its_predictions(vertex: LocalServer, form: str) -> None:
    with httpx.Client(base_url=vertex.url, timeout=60) as client:
        assert client.get(VERTEX["AIP_HEALTH_ROUTE"]).status_code == 200
        if form == "raw":  # rawPredict passes any body on
            assert client.post(VERTEX["AIP_PREDICT_ROUTE"], json=BODY).json()["answer"] == ANSWER
            return
        asked = {"instances": [BODY], "parameters": {"top_k": 2}}
        (predicted,) = client.post(VERTEX["AIP_PREDICT_ROUTE"], json=asked).json()["predictions"]
        assert (predicted["question"], predicted["answer"], len(predicted["answers"])) == (BODY["question"], ANSWER, 2)


def test_the_other_routes_are_there_beside_those_of_the_platform(vertex: LocalServer) -> None:
    with httpx.Client(base_url=vertex.url, timeout=60) as client:
        assert client.get("/v1/models").json() == {"models": ["mine"]}
        assert client.post("/v1/models/mine:predict", json={"instances": [BODY]}).status_code == 200
        assert client.post("/invocations", json=BODY).json()["question"] == QUESTION
        paths = client.get("/openapi.json").json()["paths"]
        assert set(VERTEX.values()) <= set(paths)
