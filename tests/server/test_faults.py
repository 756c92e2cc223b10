"""The server replaces a process that dies or hangs, and loses no request."""

import concurrent.futures
from pathlib import Path

import httpx
import psutil

from tests.server.questions import ANSWER, BODY, long_body, post
from tests.server.server_process import PATIENT, cores_of, has_ended, server_processes, windows_run
from tests.waiting import wait_until
from tools.local_server import LocalServer


def restarts(server: LocalServer) -> int:
    """Return how many lanes were replaced since the server started."""
    return sum(lane["restarts"] for lane in server.info()["lanes"])


def is_every_lane_alive(server: LocalServer) -> bool:
    return all(lane["is_alive"] for lane in server.info()["lanes"])


def kill(process: psutil.Process) -> None:
    """Kill a process, and wait until it has ended, so that it is not killed a second time in place of another."""
    process.kill()
    wait_until("the process has ended", lambda: has_ended(process.pid))


def test_a_lane_that_dies_is_replaced_and_no_request_is_lost(demo_dir: Path, tmp_path: Path) -> None:
    with (
        LocalServer(demo_dir, {**PATIENT, "RUNG_STEP": "128"}, log=tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=900) as client,
    ):
        server.wait_until_warm()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(client.post, "/invocations", json=long_body(400)) for _ in range(6)]
            for _ in range(3):
                # The server gives a window up after two lanes were lost on it, so let another lane run the lost one.
                enough = windows_run(server) + 10
                wait_until(
                    "ten more windows have run, or all",
                    lambda enough=enough: windows_run(server) >= enough or all(each.done() for each in asked),
                )
                kill(server_processes(server).lanes[0])
            assert [future.result().status_code for future in asked] == [200] * 6
        assert len({future.result().json()["answer"] for future in asked}) == 1
        assert client.get("/ping").status_code == 200
        wait_until("three lanes are replaced", lambda: restarts(server) == 3)
        wait_until("every lane is alive", lambda: is_every_lane_alive(server))
        assert restarts(server) == 3


def test_a_lane_that_hangs_is_killed_and_another_lane_runs_its_window(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        (wide,) = (lane for lane in server_processes(server).lanes if len(cores_of(lane)) > 1)
        wide.suspend()  # a single request on an idle server goes to the wide lane
        answer = post(server, BODY)
        assert (answer.status_code, answer.json()["answer"]) == (200, ANSWER)
        # The pool's time limit and the heartbeat find it after about the same time.
        log = (tmp_path / "log").read_text()
        assert "has not replied for" in log or "was stopped by a signal" in log


def test_a_zygote_that_dies_is_replaced(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()  # so that no lane is renewed meanwhile
        found = server_processes(server)
        found.zygote.kill()
        found.lanes[0].kill()
        wait_until("one lane is replaced", lambda: restarts(server) == 1)
        wait_until("every lane is alive", lambda: is_every_lane_alive(server))
        assert post(server, BODY).status_code == 200


def test_the_ladder_becomes_warm_even_if_the_zygote_dies_during_the_warm_up(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"RUNG_STEP": "64"}, log=tmp_path / "log") as server:
        server_processes(server).zygote.kill()
        assert post(server, BODY).json()["answer"] == ANSWER
        server.wait_until_warm()
        assert "exit status -9" in (tmp_path / "log").read_text()
        for version in ("INT8", "FP32"):
            assert post(server, {**BODY, "version": version}).json()["answer"] == ANSWER


def test_a_worker_that_is_killed_is_replaced_and_its_lanes_end(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        found = server_processes(server)
        found.worker.kill()
        old = [found.zygote, *found.lanes]
        wait_until("the old zygote and lanes have ended", lambda: not any(process.is_running() for process in old))
        server.wait_until_ready()
        assert post(server, BODY).status_code == 200
