"""The lanes are the processes that were planned, and every lane gives the same answers."""

import math
import re
from pathlib import Path

import httpx
import psutil

from tests.engines import needs_torch
from tests.server.questions import BODY, long_body, post
from tests.server.server_process import cores_of, metric_lines, row_of_request, server_processes
from tools.local_server import LocalServer

SPECIAL_TOKENS = 3  # [CLS] before the question, and [SEP] after the question and after the context


def test_no_process_imports_what_it_does_not_need(server: LocalServer) -> None:
    needs_torch()
    found = server_processes(server)

    def libraries(process: psutil.Process) -> str:
        return Path(f"/proc/{process.pid}/maps").read_text()

    assert "libtorch" not in libraries(found.worker)
    for process in (found.zygote, *found.lanes):
        assert "libintel-ext-pt-cpu.so" in libraries(process)
        assert "libintel-ext-pt-python.so" not in libraries(process)  # only IPEX's Python package loads this one
        assert "tokenizers" not in libraries(process)  # and so no transformers, which imports tokenizers
    assert len(found.lanes) == len(server.info()["lanes"])
    assert found.zygote.num_threads() == 1  # a fork copies one thread only


def test_each_thread_of_a_lane_has_its_own_core_and_a_higher_niceness_than_the_http_process(
    server: LocalServer,
) -> None:
    found = server_processes(server)
    planned = sorted(lane["cores"] for lane in server.info()["lanes"])
    used = [cores_of(lane) for lane in found.lanes]
    if server.info()["precisions"]["INT8"]["engine"] == "openvino":  # its threads share the cores of their lane
        used = [sorted(set(cores)) for cores in used]
    assert sorted(used) == planned
    assert all(lane.nice() > found.worker.nice() for lane in found.lanes)


def test_lanes_of_all_kinds_give_the_same_answer(demo_dir: Path, tmp_path: Path) -> None:
    """A wide lane runs a single short request; of a request with 12 windows, narrow and background lanes run some."""
    items = [{**BODY, "parameters": {"top_k": 3}}] * 12
    with LocalServer(demo_dir, {"RUNG_STEP": "64", "GUARD_SHARE": "0"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        alone = post(server, items[0]).json()
        together = post(server, {"instances": items}).json()["predictions"]
        assert together == [alone] * 12
        used = {
            kind
            for line in metric_lines(server, "bertqa_windows_total{")
            if float(line.split()[-1])
            for kind in re.findall('lane_kind="([a-z]+)', line)
        }
        assert used == {lane["kind"] for lane in server.info()["lanes"]}


def test_the_settings_choose_the_lanes_and_one_line_of_the_log_names_them(demo_dir: Path, tmp_path: Path) -> None:
    chosen = {"NARROW_LANES": "1", "BACKGROUND_LANES": "false", "GUARD_SHARE": "0"}
    with LocalServer(demo_dir, chosen, log=tmp_path / "log") as server:
        assert [lane["kind"] for lane in server.info()["lanes"]] == ["narrow"]
        assert post(server, long_body(400)).status_code == 200
    (line,) = (line for line in (tmp_path / "log").read_text().splitlines() if "usable cores" in line)
    assert re.search(
        r"\d+ MB of memory\. Lanes: narrow-0 on \[\d+\]\. Rungs: every 16 tokens\. Expected memory: \d+ MB", line
    )


def test_each_window_takes_the_smallest_rung_that_holds_it(client: httpx.Client, server: LocalServer) -> None:
    """The server is warm, so no request meets a cold rung or has to take a longer one."""
    expected = {}
    for words in (1, 12, 13, 29, 125, 140, 300, 380):
        response = client.post("/invocations", json={"question": "word", "context": "word " * words})
        tokens = 1 + words + SPECIAL_TOKENS
        expected[response.headers["x-request-id"]] = [math.ceil(tokens / 16) * 16]
    assert {request_id: row_of_request(server, request_id)["rungs"] for request_id in expected} == expected
