"""ADMIN_PORT: what describes the server, or changes it, is apart from the port for questions."""

import http.client
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.server.questions import ANSWER, BODY
from tests.server.server_process import error_messages, run_until_exit
from tests.waiting import wait_until
from tools.local_server import LocalServer, free_port

KEY = "the-key-of-these-tests"
HEADERS = {"Content-Type": "application/json"}


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """Send one request to a port, and return the status and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, json.dumps(body) if body else None, {**HEADERS, **headers})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def ports(demo_dir: Path) -> Iterator[tuple[LocalServer, int]]:
    """A server with one model, and its admin port."""
    admin_port = free_port()
    with LocalServer(demo_dir, {"ADMIN_PORT": str(admin_port), "PRECISIONS": "FP32"}) as server:
        yield server, admin_port


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalServer, int]]:
    """A multi-model endpoint with an API key, and its admin port."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "keys").write_text(KEY)
    admin_port = free_port()
    settings = {"SAGEMAKER_MULTI_MODEL": "true", "ADMIN_PORT": str(admin_port), "API_KEY_FILE": str(folder / "keys")}
    with LocalServer(folder / "nothing", settings) as server:
        yield server, admin_port


@pytest.mark.parametrize("path", ["/metrics", "/info"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_admin_port_describes_the_server_and_the_public_port_does_not(
    ports: tuple[LocalServer, int], method: str, path: str
) -> None:
    server, admin_port = ports
    assert ask(admin_port, method, path)[0] == 200
    status, body = ask(server.port, method, path)
    assert status == 404
    assert method == "HEAD" or "ADMIN_PORT has it" in json.loads(body)["error"]


def test_the_public_port_answers_questions_and_the_admin_port_does_not(ports: tuple[LocalServer, int]) -> None:
    server, admin_port = ports
    status, body = ask(server.port, "POST", "/invocations", BODY)
    assert (status, json.loads(body)["answer"]) == (200, ANSWER)
    for method, path in (("POST", "/invocations"), ("POST", "/"), ("GET", "/docs"), ("GET", "/v1/models")):
        assert ask(admin_port, method, path, BODY)[0] == 404
    assert b'bertqa_requests_total{status="404"}' in ask(admin_port, "GET", "/metrics")[1]


def test_the_description_of_the_api_has_the_error_of_the_other_port(ports: tuple[LocalServer, int]) -> None:
    paths = json.loads(ask(ports[0].port, "GET", "/openapi.json")[1])["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            assert ("404" in operation["responses"]) == (path not in ("/ping", "/health")), path


def test_both_ports_answer_health_checks(ports: tuple[LocalServer, int]) -> None:
    for port in (ports[0].port, ports[1]):
        assert [ask(port, "GET", path)[0] for path in ("/ping", "/health")] == [200, 200]


def test_there_is_no_page_because_it_would_show_what_the_public_port_does_not(ports: tuple[LocalServer, int]) -> None:
    assert [ask(port, "GET", "/page/page.js")[0] for port in (ports[0].port, ports[1])] == [404, 404]
    assert ask(ports[0].port, "GET", "/docs")[0] == 200


def test_the_admin_port_has_the_limits_of_the_public_port(ports: tuple[LocalServer, int]) -> None:
    for port in (ports[0].port, ports[1]):
        status, body = ask(port, "GET", "/ping", X_Large="x" * 70_000)
        assert (status, json.loads(body)["error_type"]) == (431, "request_header_fields_too_large")


def test_models_are_loaded_on_the_admin_port_and_asked_on_the_public_one(
    many: tuple[LocalServer, int], demo_dir: Path
) -> None:
    server, admin_port = many
    key = {"Authorization": f"Bearer {KEY}"}
    load = {"model_name": "demo", "url": str(demo_dir)}
    assert ask(admin_port, "POST", "/models", load)[0] == 401
    assert ask(server.port, "POST", "/models", load, **key)[0] == 404
    assert ask(admin_port, "POST", "/models", load, **key)[0] == 200
    for path in ("/models", "/models/demo", "/info"):
        assert ask(admin_port, "GET", path)[0] == 401
        assert ask(admin_port, "GET", path, **key)[0] == 200
        assert ask(server.port, "GET", path, **key)[0] == 404
    assert ask(server.port, "POST", "/models/demo/invoke", BODY, **key)[0] == 200
    assert ask(admin_port, "POST", "/models/demo/invoke", BODY, **key)[0] == 404
    assert ask(server.port, "DELETE", "/models/demo", **key)[0] == 404
    assert ask(admin_port, "DELETE", "/models/demo", **key)[0] == 200


def test_both_ports_come_back_after_the_http_process_was_killed(many: tuple[LocalServer, int]) -> None:
    server, admin_port = many
    (worker,) = psutil.Process(server.process.pid).children()
    worker.send_signal(signal.SIGKILL)
    wait_until("gunicorn has another worker", lambda: not worker.is_running())

    def answers() -> bool:
        try:
            return all(ask(port, "GET", "/ping")[0] == 200 for port in (server.port, admin_port))
        except OSError:
            return False

    wait_until("both ports answer", answers)


@pytest.mark.parametrize("port", ["8080", "no port", "70000"])
def test_an_admin_port_that_cannot_be_used_ends_the_server(port: str) -> None:
    ended = run_until_exit({"PORT": "8080", "ADMIN_PORT": port})
    assert ended.returncode == 78
    (message,) = error_messages(ended.stdout + ended.stderr)
    assert message.startswith(f"cannot start: ADMIN_PORT='{port}': must be ")
