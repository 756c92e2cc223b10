"""Rounds of a benchmark against a real server: their order, what they send, and rounds without an answer."""

import pytest

from tools.benchmark.rounds import ClosedLoop, Duration, OpenLoop, RoundRunner
from tools.benchmark.target import Target
from tools.errors import ToolError
from tools.local_server import LocalServer, free_port

BODY = b'{"question": "Who built it?", "context": "It was built by Zo\xc3\xab M\xc3\xbcller.", "version": "INT8"}'


def test_precisions_alternate_and_the_second_round_reverses_their_order(server: LocalServer) -> None:
    calls: list[tuple[str, float]] = []
    target = Target(server.url, None, {"FP32": [BODY], "INT8": [BODY]})
    runner = RoundRunner(target, Duration(seconds=9, requests=4), lambda name, done: calls.append((name, done)))
    found = runner.measure({"FP32": ClosedLoop(1), "INT8": OpenLoop(50.0, 0.5)})
    assert [name.split(",")[0] for name, _ in calls] == ["FP32"] * 2 + ["INT8"] * 4 + ["FP32"] * 2
    assert [done for name, done in calls if name == "FP32, 1 client"] == [0.5, 1.0, 3.5, 4.0]
    assert [len(one.load.samples) for one in found] == [4, 4]
    assert all(each.server_cpu_seconds is None for one in found for each in one.rounds)


def test_a_round_continues_with_the_body_after_the_last_one(server: LocalServer) -> None:
    bad = b"{}"
    target = Target(server.url, None, {"INT8": [BODY, BODY, bad]})
    runner = RoundRunner(target, Duration(seconds=9, requests=4), lambda *_: None)
    (found,) = runner.measure({"INT8": ClosedLoop(1)})
    assert [[sample.status for sample in each.load.samples] for each in found.rounds] == [[200, 200], [422, 200]]


def test_a_round_without_an_answer_raises_an_error_with_the_statuses(server: LocalServer) -> None:
    refusing = RoundRunner(Target(server.url, None, {"INT8": [b"{}"]}), Duration(9, 4), lambda *_: None)
    with pytest.raises(ToolError, match="no INT8 request at 2 clients was answered: 2 with status 422"):
        refusing.measure({"INT8": ClosedLoop(2)})
    nowhere = Target(f"http://127.0.0.1:{free_port()}", None, {"INT8": [BODY]})
    unanswered = RoundRunner(nowhere, Duration(9, 4), lambda *_: None)
    with pytest.raises(ToolError, match="2 without an HTTP response"):
        unanswered.measure({"INT8": ClosedLoop(1)})
