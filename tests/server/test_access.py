"""API keys and CORS on real servers, with one model and with many."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.described_responses import VERTEX
from tests.server.questions import ANSWER, BODY
from tests.server.server_process import error_messages, row_of_request, run_until_exit
from tools.local_server import LocalServer

KEYS = ("first-key-of-the-tests", "second-key-of-the-tests")
ORIGIN = "https://app.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
WITH_KEY = {"Authorization": f"Bearer {KEYS[0]}"}
NO_KEY, WRONG_KEY = "Bearer", 'Bearer error="invalid_token"'


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("\n".join(KEYS))
    return file


@pytest.fixture(scope="module")
def guarded(demo_dir: Path, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with API keys, CORS for one origin, and the routes of Vertex AI."""
    environment = {"API_KEY_FILE": str(key_file), "CORS_ALLOW_ORIGINS": ORIGIN, "PRECISIONS": "INT8", **VERTEX}
    with LocalServer(demo_dir, environment, tmp_path_factory.mktemp("guarded") / "log") as running:
        yield running


@pytest.fixture
def asking(guarded: LocalServer) -> Iterator[httpx.Client]:
    """A client of the server with API keys."""
    with httpx.Client(base_url=guarded.url, timeout=60) as connected:
        yield connected


@pytest.fixture(scope="module")
def open_to_all(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A multi-model endpoint with API keys for everything but /ping, and CORS for every origin."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "keys").write_text(KEYS[0])
    environment = {
        "SAGEMAKER_MULTI_MODEL": "true",
        "API_KEY_FILE": str(folder / "keys"),
        "METRICS_WITHOUT_KEY": "false",
        "CORS_ALLOW_ORIGINS": "*",
    }
    with LocalServer(folder / "nothing", environment, folder / "log") as running:
        yield running


def is_refused(response: httpx.Response, challenge: str) -> bool:
    """Return whether a response is a 401 with the body and the headers of every error."""
    body = response.json()
    assert set(body) == {"error_type", "error", "request_id"}
    assert response.headers["x-request-id"] == body["request_id"]
    assert f"request_id={body['request_id']}" in response.headers["x-amzn-sagemaker-custom-attributes"]
    assert not any(key in response.text for key in KEYS)
    return (response.status_code, body["error_type"], response.headers["www-authenticate"]) == (
        401,
        "not_authenticated",
        challenge,
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("path", ["/invocations", "/", "/v1/models/bert-qa:predict", VERTEX["AIP_PREDICT_ROUTE"]])
def test_each_key_opens_each_answering_route(asking: httpx.Client, key: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert asking.post(path, json=BODY, headers=headers).json()["answer"] == ANSWER
    assert is_refused(asking.post(path, json=BODY), NO_KEY)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong-key-of-the-tests"},
        {"Authorization": f"Basic {KEYS[0]}"},
        {"Authorization": KEYS[0]},
        [("Authorization", f"Bearer {KEYS[0]}"), ("Authorization", f"Bearer {KEYS[0]}")],
    ],
)
def test_a_wrong_key_is_refused(asking: httpx.Client, headers: Any) -> None:
    assert is_refused(asking.post("/invocations", json=BODY, headers=headers), WRONG_KEY)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/info"),
        ("GET", "/execution-parameters"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/static-offline-docs/swagger-ui.css"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/bert-qa"),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("PUT", "/invocations"),
        ("OPTIONS", "/invocations"),
    ],
)
def test_every_other_route_needs_a_key_too(asking: httpx.Client, method: str, path: str) -> None:
    assert is_refused(asking.request(method, path), NO_KEY)
    assert asking.request(method, path, headers=WITH_KEY).status_code in (200, 404, 405)


@pytest.mark.parametrize("path", ["/ping", "/health", VERTEX["AIP_HEALTH_ROUTE"], "/%70ing", "/metrics"])
def test_health_checks_and_metrics_need_no_key(asking: httpx.Client, path: str) -> None:
    assert asking.get(path).status_code == 200


def test_a_refusal_is_logged_and_counted_without_the_key(guarded: LocalServer, asking: httpx.Client) -> None:
    headers = {"Authorization": "Bearer wrong-key-of-the-tests"}
    refused = asking.post("/invocations", json=BODY, headers=headers)
    row = row_of_request(guarded, refused.headers["x-request-id"])
    assert (row["status"], row["level"], row["error"].partition(":")[0]) == (401, "INFO", "not_authenticated")
    assert guarded.log
    assert not any(key in guarded.log.read_text() for key in (*KEYS, "wrong-key-of-the-tests"))
    assert 'bertqa_requests_total{status="401"}' in asking.get("/metrics").text


def test_the_description_names_the_key_where_it_is_needed(asking: httpx.Client) -> None:
    shown = asking.get("/openapi.json", headers=WITH_KEY).json()
    assert shown["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    exempt = {"/ping", "/health", "/metrics", VERTEX["AIP_HEALTH_ROUTE"]}
    for path, operations in shown["paths"].items():
        for operation in operations.values():
            assert ("security" in operation) == ("401" in operation["responses"]) == (path not in exempt), path


def test_a_preflight_of_an_allowed_origin_needs_no_key(asking: httpx.Client) -> None:
    asked = {**PREFLIGHT, "Access-Control-Request-Headers": "authorization,content-type"}
    response = asking.options("/invocations", headers=asked)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in response.headers["access-control-allow-methods"]
    assert {"authorization", "content-type"} <= {
        name.strip().lower() for name in response.headers["access-control-allow-headers"].split(",")
    }


@pytest.mark.parametrize(
    "headers",
    [
        {**PREFLIGHT, "Origin": "https://other.example"},
        {**PREFLIGHT, "Access-Control-Request-Method": "DELETE"},
        {**PREFLIGHT, "Access-Control-Request-Headers": "x-unknown"},
    ],
)
def test_a_preflight_that_is_not_allowed_is_answered_like_any_options(
    asking: httpx.Client, headers: dict[str, str]
) -> None:
    assert asking.options("/invocations", headers=headers).status_code == 401  # browsers send no key with a preflight
    response = asking.options("/invocations", headers={**headers, **WITH_KEY})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "access-control-allow-methods" not in response.headers
    assert ("access-control-allow-origin" in response.headers) == (headers["Origin"] == ORIGIN)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (200, {"json": BODY, "headers": WITH_KEY}),
        (401, {"json": BODY}),
        (415, {"content": b"a", "headers": {**WITH_KEY, "Content-Type": "text/csv"}}),
        (422, {"json": {}, "headers": WITH_KEY}),
        (431, {"json": {}, "headers": {"X-Large": "x" * 70_000}}),
    ],
)
def test_answers_and_errors_can_be_read_by_an_allowed_origin_only(
    asking: httpx.Client, status: int, request_: dict[str, Any]
) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://other.example", None)):
        headers = {
            "Origin": origin,
            **request_.get("headers", {}),
        }  # an origin after a head that is too large is not read
        response = asking.post("/invocations", **{**request_, "headers": headers})
        assert response.status_code == status
        assert response.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in response.headers["vary"]
    assert "X-Request-Id" in response.headers["access-control-expose-headers"]


def test_a_request_that_is_refused_for_its_body_can_be_read_too(asking: httpx.Client) -> None:
    headers = {**WITH_KEY, "Origin": ORIGIN}
    refused = asking.post("/invocations", content=b" " * (26 * 2**20), headers=headers)
    assert refused.status_code == 413
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_without_the_setting_there_is_no_cors(client: httpx.Client) -> None:
    assert client.options("/invocations", headers=PREFLIGHT).status_code == 405
    answered = client.post("/invocations", json=BODY, headers={"Origin": ORIGIN})
    assert not any(name.startswith("access-control") for name in answered.headers)


def test_a_multi_model_endpoint_has_keys_and_cors_too(open_to_all: LocalServer, demo_dir: Path) -> None:
    load = {"model_name": "first", "url": str(demo_dir)}
    with httpx.Client(base_url=open_to_all.url, timeout=120) as client:
        assert is_refused(client.post("/models", json=load), NO_KEY)
        assert is_refused(client.get("/metrics"), NO_KEY)
        assert client.post("/models", json=load, headers=WITH_KEY).status_code == 200
        assert is_refused(client.post("/models/first/invoke", json=BODY), NO_KEY)
        headers = {**WITH_KEY, "Origin": ORIGIN}
        answered = client.post("/models/first/invoke", json=BODY, headers=headers)
        assert answered.json()["answer"] == ANSWER
        assert answered.headers["access-control-allow-origin"] == "*"
        assert client.options("/models/first/invoke", headers=PREFLIGHT).status_code == 200
        assert client.options("/models", headers={**PREFLIGHT, **WITH_KEY}).status_code == 405  # no page may load one
        unload = {**PREFLIGHT, "Access-Control-Request-Method": "DELETE", **WITH_KEY}
        assert client.options("/models/first", headers=unload).status_code == 405
        assert client.get("/health").status_code == client.get("/ping").status_code == 200
        assert is_refused(client.delete("/models/first"), NO_KEY)


@pytest.mark.parametrize("content", [None, "", "short"])
def test_a_file_without_usable_keys_ends_the_server_at_start(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "keys").write_text(content)
    ended = run_until_exit({"API_KEY_FILE": str(tmp_path / "keys")})
    assert ended.returncode == 78
    (message,) = error_messages(ended.stdout)
    assert message.startswith(f"cannot start: API_KEY_FILE='{tmp_path / 'keys'}': ")
