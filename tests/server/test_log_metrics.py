"""The filter patterns for CloudWatch match the lines of a real server's log, and no other lines."""

import ast
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.questions import BODY
from tests.server.server_process import log_rows, server_processes
from tests.waiting import wait_until
from tools.deploy.steps.monitoring.definitions import ERRORS, GUARD, LANES_LOST, REFUSALS
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[2]
CONDITION = re.compile(r'\$\.(\w+) = ("[^"]*"|\d+)')


def matches(pattern: str, row: dict[str, Any]) -> bool:
    """Evaluate the part of CloudWatch's syntax that the patterns use: comparisons, `*` at the end, &&, || and ()."""

    def holds(found: re.Match[str]) -> str:
        name, wanted = found[1], ast.literal_eval(found[2])
        present = row.get(name)
        if isinstance(wanted, str) and wanted.endswith("*"):
            return str(isinstance(present, str) and present.startswith(wanted[:-1]))
        return str(present == wanted)

    body = CONDITION.sub(holds, pattern.strip("{} "))
    assert re.fullmatch(r"(True|False|&&|\|\||[() ])+", body), pattern
    return bool(eval(body.replace("&&", " and ").replace("||", " or ")))  # the text has these words only


@pytest.fixture(scope="module")
def rows(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The log of a server that refused a question while it loaded its model, and lost a lane later."""
    log = tmp_path_factory.mktemp("server") / "log"
    server = LocalServer(demo_dir, {"PRECISIONS": "FP32", "WIDE_LANE": "false", "RUNG_STEP": "128"}, log)

    def is_refused() -> bool:
        try:
            return httpx.post(f"{server.url}/invocations", json=BODY).status_code == 503
        except httpx.TransportError:
            return False

    try:
        wait_until("a question is refused while the model loads", is_refused, poll_seconds=0)
        server.wait_until_warm()
        httpx.post(f"{server.url}/invocations", json=BODY).raise_for_status()
        assert httpx.post(f"{server.url}/invocations", json={"question": "Why?"}).status_code == 422
        server_processes(server).lanes[0].send_signal(signal.SIGKILL)
        wait_until("the log names the lane", lambda: "has ended; the server starts another" in log.read_text())
    finally:
        server.stop()
    return log_rows(log.read_text())


def test_a_lost_lane_is_counted_once(rows: list[dict[str, Any]]) -> None:
    (row,) = [row for row in rows if matches(LANES_LOST.pattern, row)]
    assert "has ended" in row["message"]
    assert matches(ERRORS.pattern, row)


def test_a_refusal_is_counted_and_an_answer_or_an_error_of_the_client_is_not(rows: list[dict[str, Any]]) -> None:
    assert {row["status"] for row in rows if row["message"] == "invocation"} == {200, 422, 503}
    counted = [row["status"] for row in rows if matches(REFUSALS.pattern, row)]
    assert set(counted) == {503}
    assert [row for row in rows if matches(GUARD.pattern, row)] == []


@pytest.mark.parametrize("status", [429, 503, 507])
def test_every_status_of_a_refusal_is_counted(status: int) -> None:
    assert matches(REFUSALS.pattern, {"message": "invocation", "status": status})
    assert not matches(REFUSALS.pattern, {"message": "invocation", "status": 500})


def test_the_guard_warns_only_of_disagreement() -> None:
    """The line needs a hundred comparisons with another answer, so its call is read instead."""
    tree = ast.parse((ROOT / "serve" / "qa" / "guard.py").read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    warnings = [call for call in calls if isinstance(call, ast.Attribute) and call.attr == "warning"]
    assert len(warnings) == 1
    assert matches(GUARD.pattern, {"logger": "serve.qa.guard", "level": "WARNING", "message": "INT8 agrees ..."})


def test_the_supervisors_messages_about_lanes_begin_as_the_pattern_expects() -> None:
    source = (ROOT / "serve" / "lanes" / "supervisor.py").read_text()
    for begin in re.findall(r'\$\.message = "([^"*]*)\*"', LANES_LOST.pattern):
        assert f'"{begin}%s' in source
