"""Turns against a real server: their order, what they send, what they say without an answer; its processes."""

import pytest

from tools.benchmark.rounds import Bench, Closed, Length, Open, Target
from tools.errors import ToolError
from tools.local_server import LocalServer, free_port
from tools.process_tree import ProcessTree

BODY = b'{"question": "Who built it?", "context": "It was built by Zo\xc3\xab M\xc3\xbcller.", "version": "INT8"}'


def test_precisions_take_turns_the_second_time_in_the_opposite_order(server: LocalServer) -> None:
    told: list[tuple[str, float]] = []
    target = Target(server.url, None, {"FP32": [BODY], "INT8": [BODY]})
    bench = Bench(target, Length(seconds=9, requests=4), lambda what, done: told.append((what, done)))
    found = bench.measure({"FP32": Closed(1), "INT8": Open(50.0, 0.5)})
    assert [what.split(",")[0] for what, _ in told] == ["FP32"] * 2 + ["INT8"] * 4 + ["FP32"] * 2
    assert [done for what, done in told if what == "FP32, 1 client"] == [0.5, 1.0, 3.5, 4.0]
    assert [len(one.load.samples) for one in found] == [4, 4]
    assert all(turn.server_cpu_seconds is None for one in found for turn in one.turns)


def test_a_turn_goes_on_where_the_last_one_ended(server: LocalServer) -> None:
    bad = b"{}"
    target = Target(server.url, None, {"INT8": [BODY, BODY, bad]})
    (found,) = Bench(target, Length(seconds=9, requests=4), lambda *_: None).measure({"INT8": Closed(1)})
    assert [[sample.status for sample in turn.load.samples] for turn in found.turns] == [[200, 200], [422, 200]]


def test_a_turn_without_an_answer_is_an_error_that_says_what_came(server: LocalServer) -> None:
    refusing = Bench(Target(server.url, None, {"INT8": [b"{}"]}), Length(9, 4), lambda *_: None)
    with pytest.raises(ToolError, match="no INT8 request at 2 clients was answered: 2 with status 422"):
        refusing.measure({"INT8": Closed(2)})
    gone = Bench(Target(f"http://127.0.0.1:{free_port()}", None, {"INT8": [BODY]}), Length(9, 4), lambda *_: None)
    with pytest.raises(ToolError, match="2 without an HTTP answer"):
        gone.measure({"INT8": Closed(1)})


# The server's processes


def test_the_processes_behind_a_url_are_found(server: LocalServer) -> None:
    tree = ProcessTree.behind(server.url)
    assert tree is not None
    assert tree.root.pid == server.process.pid
    assert tree.cpu_seconds() > 0
    children = tree.root.children(recursive=True)
    assert len(children) >= 3  # worker, zygote and a lane
    resident = sum(process.memory_info().rss for process in (tree.root, *children))
    assert resident / 10 < tree.memory_bytes() < resident  # what they share counts once


@pytest.mark.parametrize("url", ["https://example.com", "http://192.0.2.7:8080", f"http://127.0.0.1:{free_port()}"])
def test_nothing_is_told_of_processes_elsewhere(url: str) -> None:
    assert ProcessTree.behind(url) is None
