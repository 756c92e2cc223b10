"""docs/api.md, and the routes of a multi-model endpoint, against the code and the running server."""

import json
from dataclasses import asdict

import httpx

from serve.api import schemas
from serve.api.error_response import ERROR_STATUS, error_type
from serve.qa.highlight.task import DEFAULT_SENTENCES, DEFAULT_TASKS
from tests.docs import pages
from tools.local_server import LocalServer

PAGE = pages.DOCS / "api.md"
HIGHLIGHTING_PAGE = pages.DOCS / "highlighting.md"
MULTI_MODEL_PAGE = pages.DOCS / "batch-and-multi-model.md"


def documented_routes(text: str) -> set[tuple[str, str]]:
    """(method, path) of each route in the first column of a table."""
    routes = [name.split(" ")[:2] for row in pages.rows(text) for name in pages.names(row[0]) if " /" in name]
    return {(method, path.partition("?")[0]) for method, path in routes}


def served_routes(url: str) -> set[tuple[str, str]]:
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_has_its_row(client: httpx.Client, server: LocalServer) -> None:
    documented = documented_routes(PAGE.read_text())
    undescribed = {("GET", "/"), ("GET", "/docs"), ("GET", "/openapi.json")}  # not in the schema of the routes
    assert documented == served_routes(server.url) | undescribed
    for method, path in undescribed:
        assert client.request(method, path).status_code == 200


def test_every_route_of_a_multi_model_endpoint_has_its_row(multi_model_server: LocalServer) -> None:
    documented = documented_routes(MULTI_MODEL_PAGE.read_text())
    shared = {
        (method, path) for method in ("GET", "POST") for path in ("/ping", "/health")
    }  # documented in docs/api.md
    shared |= {("GET", "/info"), ("GET", "/metrics")}
    assert documented == served_routes(multi_model_server.url) - shared


def test_the_commands_of_the_multi_model_page_load_ask_and_unload_a_model(multi_model_answers: list[str]) -> None:
    loaded, answered, unloaded = multi_model_answers
    assert (loaded, unloaded) == ("", "")
    assert json.loads(answered)["answer"] == "Zoë"


def test_every_error_has_its_row() -> None:
    errors = pages.rows(pages.section(PAGE, "Errors"))
    documented = {(row[0], row[1].strip("`")) for row in errors if row[0].isdigit()}
    expected = {(str(status), error_type(kind.__new__(kind))) for kind, status in ERROR_STATUS.items()}
    assert documented == expected | {("500", "internal")}


def test_every_parameter_has_its_row_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1] for row in pages.rows(PAGE.read_text())}
    values = asdict(schemas.DEFAULTS) | asdict(DEFAULT_TASKS)
    values |= {"highlight_threshold": DEFAULT_TASKS.threshold, "offset_unit": "code_points"}
    for name in schemas.PARAMETER_NAMES:
        default = "artifact" if values[name] is None else str(values[name]).lower()
        assert default in documented[name], name
    highlighting = {row[0].strip("`"): row[1] for row in pages.rows(HIGHLIGHTING_PAGE.read_text())}
    assert highlighting["top_k"] == str(DEFAULT_SENTENCES)
    for name in ("task", "highlight_threshold", "offset_unit"):
        assert highlighting[name] == documented[name]
