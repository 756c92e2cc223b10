"""docs/logs.md against the lines that real servers wrote, and against every call of a logger in the server's code."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.docs import pages
from tests.server.server_process import log_rows
from tests.waiting import wait_until
from tools.local_server import LocalServer

PAGE = pages.DOCS / "logs.md"
SERVER_CODE = [
    path for folder in ("container", "model_loader", "serve") for path in (pages.ROOT / folder).rglob("*.py")
]
LEVELS = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "exception": "ERROR"}
WITH_FIELDS = {"settings", "invocation"}  # messages with a section of their own


def log_lines(server: LocalServer) -> list[dict[str, object]]:
    assert server.log
    return log_rows(server.log.read_text())


def fields(title: str) -> set[str]:
    """The fields that the table of a section explains."""
    _, *table = pages.rows(pages.section(PAGE, title))
    return {name for row in table for name in pages.names(row[0])}


def logger_of(module: Path, tree: ast.Module) -> str | None:
    """The name of the module's logger, which is always called `log`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "log" and isinstance(node.value, ast.Call):
            (argument,) = node.value.args
            if isinstance(argument, ast.Constant):
                return str(argument.value)
            return ".".join(module.relative_to(pages.ROOT).with_suffix("").parts)
    return None


def logger_calls() -> Iterator[tuple[str, str]]:
    """(level, logger) of each call that writes a line without fields of its own."""
    for module in SERVER_CODE:
        tree = ast.parse(module.read_text())
        logger = logger_of(module, tree)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if (
                ast.unparse(node.func.value) != "log"
                or node.func.attr == "isEnabledFor"
                or any(ast.unparse(argument) in map(repr, WITH_FIELDS) for argument in node.args)
            ):
                continue
            assert logger, f"{module} writes to a logger that it does not define"
            yield LEVELS[node.func.attr], logger


def test_every_line_has_the_documented_fields_and_no_other(
    server: LocalServer, multi_model_server: LocalServer, multi_model_answers: list[str]
) -> None:
    assert multi_model_answers
    common = fields("Fields of every line")
    for line in log_lines(server) + log_lines(multi_model_server):
        assert common - {"exc_info"} <= set(line)
        if line["message"] not in WITH_FIELDS:
            assert set(line) <= common


def test_the_line_of_a_request_has_the_documented_fields_and_no_other(
    server: LocalServer, client: httpx.Client, multi_model_server: LocalServer, multi_model_answers: list[str]
) -> None:
    assert multi_model_answers
    client.post(
        "/invocations",
        json={"question": "Who built it?", "context": "Zoë Müller built it."},
        headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
    ).raise_for_status()
    assert client.post("/invocations", json={"question": "Who built it?"}).status_code == 422
    assert client.put("/info").status_code == 405
    client.post("/invocations", content=b"{}\n", headers={"Content-Type": "application/jsonlines"}).raise_for_status()

    def written() -> set[str]:
        lines = log_lines(server) + log_lines(multi_model_server)
        found = {field for line in lines if line["message"] == "invocation" for field in line}
        return found - fields("Fields of every line")

    documented = fields("One line for each request")
    wait_until("the log has lines with every field", lambda: documented <= written())  # they follow the answers
    assert written() == documented


def test_the_line_of_the_settings_has_one_field(server: LocalServer) -> None:
    (line,) = (line for line in log_lines(server) if line["message"] == "settings")
    assert set(line) - fields("Fields of every line") == {"settings"}
    assert "`settings`" in pages.section(PAGE, "The settings")


def test_every_call_of_a_logger_has_its_row() -> None:
    _, *table = pages.rows(pages.section(PAGE, "All other lines"))
    documented = Counter((level.strip("`"), logger.strip("`")) for level, logger, _ in table)
    prefixes = sorted({logger for _, logger in documented}, key=len, reverse=True)
    written = Counter(
        (level, next((prefix for prefix in prefixes if f"{logger}.".startswith(f"{prefix}.")), logger))
        for level, logger in logger_calls()
    )
    assert documented == written
