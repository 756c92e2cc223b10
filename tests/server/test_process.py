"""The server as a process: how it starts and fails to, what it survives, and how it stops."""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tools.local_server import PROGRAM_DIR, LocalServer

BODY = {"question": "Who built the lighthouse?", "context": "The lighthouse was built in 1871 by Zoë Müller."}
LONG_BODY = {**BODY, "context": "It rained all day in the harbour. " * 400 + BODY["context"]}


def run_until_exit(
    environment: Mapping[str, str], *arguments: str, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run entrypoint.sh and expect it to end by itself."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [PROGRAM_DIR / "entrypoint.sh", *(arguments or ("serve",))],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def error_lines(log: str) -> list[str]:
    rows = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [row["message"] for row in rows if row["level"] == "ERROR"]


def wait_for(what: str, is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


def processes(server: LocalServer) -> dict[str, list[psutil.Process]]:
    """The server's processes by role."""
    (worker,) = psutil.Process(server.process.pid).children()
    (zygote,) = worker.children()
    lanes = [lane for lane in zygote.children() if lane.status() != psutil.STATUS_ZOMBIE]
    return {"worker": [worker], "zygote": [zygote], "lanes": lanes}


def metric_lines(server: LocalServer, name: str) -> list[str]:
    return [line for line in httpx.get(f"{server.url}/metrics").text.splitlines() if line.startswith(name)]


def cores_of(lane: psutil.Process) -> list[int]:
    """The cores that the threads of a lane are pinned to."""
    return sorted(core for thread in lane.threads() for core in psutil.Process(thread.id).cpu_affinity())


@pytest.fixture
def copy(demo_dir: Path, tmp_path: Path) -> Path:
    """A copy of the demo artifact to damage."""
    return Path(shutil.copytree(demo_dir, tmp_path / "artifact"))


def edit_manifest(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


# How it fails to start


@pytest.mark.parametrize("arguments", [("bogus",), ("server",), ("--help",)])
def test_an_unknown_command_shows_the_usage(arguments: tuple[str, ...]) -> None:
    ended = run_until_exit({}, *arguments)
    assert ended.returncode == 64
    assert ended.stderr.startswith("usage: serve")


@pytest.mark.parametrize("setting", [("PORT", "http"), ("PRECISIONS", "INT4"), ("MAX_QUEUE_SECONDS", "-1")])
def test_a_bad_setting_ends_with_one_line_that_names_it(setting: tuple[str, str], demo_dir: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(demo_dir), setting[0]: setting[1]})
    assert ended.returncode == 78
    assert len(ended.stdout.splitlines()) == 1
    assert setting[0] in ended.stdout
    assert setting[1] in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_cpu_without_avx2_ends_with_its_own_code(demo_dir: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(demo_dir), "ONEDNN_MAX_CPU_ISA": "SSE41"})
    assert ended.returncode == 69
    (line,) = error_lines(ended.stdout)
    assert "AVX2" in line
    assert "emulating" in line


def test_no_model_ends_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(tmp_path / "nothing")})
    assert ended.returncode == 70
    (line,) = error_lines(ended.stdout)
    assert "MODEL_DIR" in line


def test_a_damaged_file_is_refused_before_the_port_opens(copy: Path) -> None:
    path = copy / "model_int8.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = run_until_exit({"MODEL_DIR": str(copy)})
    assert ended.returncode == 70
    assert "SHA-256" in error_lines(ended.stdout)[0]
    assert "Listening" not in ended.stdout


def test_a_file_that_torch_cannot_load_ends_the_server_once(copy: Path) -> None:
    """The hash matches, the content is no TorchScript: found by the zygote, behind an open port."""
    import hashlib

    (copy / "model_int8.pt").write_bytes(b"no model")

    def rehash(manifest: dict[str, Any]) -> None:
        sha256 = hashlib.sha256(b"no model").hexdigest()
        manifest["precisions"]["INT8"] |= {"sha256": sha256, "size_bytes": len(b"no model")}

    edit_manifest(copy, rehash)
    ended = run_until_exit({"MODEL_DIR": str(copy), "HOST": "127.0.0.1", "PORT": "18471"})
    assert ended.returncode == 70
    assert ended.stdout.count("Booting worker") == 1
    assert any("cannot load" in line for line in error_lines(ended.stdout))


@pytest.mark.parametrize("precisions", ["INT8", "INT8,FP32"])
def test_int8_that_drifted_is_refused_when_it_was_asked_for(copy: Path, precisions: str) -> None:
    def shift(manifest: dict[str, Any]) -> None:
        manifest["precisions"]["INT8"]["rms_difference"] /= 100

    edit_manifest(copy, shift)
    ended = run_until_exit({"MODEL_DIR": str(copy), "PRECISIONS": precisions, "HOST": "127.0.0.1", "PORT": "18472"})
    assert ended.returncode == 70
    assert any("other numbers here" in line for line in error_lines(ended.stdout))


def test_int8_that_drifted_is_passed_over_for_fp32(copy: Path, tmp_path: Path) -> None:
    edit_manifest(copy, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=0.0))
    with LocalServer(copy, log=tmp_path / "log") as server:
        answer = httpx.post(f"{server.url}/invocations", json=BODY).json()
        assert (answer["answer"], answer["version"]) == ("Zoë Müller", "FP32")
        refused = httpx.post(f"{server.url}/invocations", json={**BODY, "version": "INT8"})
        assert refused.json()["error_type"] == "precision_unavailable"
        server.wait_until_warm()
        (metric,) = metric_lines(server, "bertqa_precision_passed_over{")
        assert 'precision="INT8",reason="INT8 gives other numbers here' in metric
        assert "other numbers" in server.info()["passed_over"]["INT8"]
        httpx.get(f"{server.url}/ping").raise_for_status()
    pings = [line for line in (tmp_path / "log").read_text().splitlines() if "/ping answers 200" in line]
    assert len(pings) == 1  # however often it was asked
    assert "FP32; INT8 is passed over: INT8 gives other numbers here" in pings[0]


def test_int8_without_fusion_is_refused(copy: Path) -> None:
    edit_manifest(copy, lambda manifest: manifest["precisions"]["INT8"].update(fused_groups=45))
    ended = run_until_exit({"MODEL_DIR": str(copy), "PRECISIONS": "INT8", "HOST": "127.0.0.1", "PORT": "18473"})
    assert ended.returncode == 70
    assert any("44 fused groups, but had 45 at quantization" in line for line in error_lines(ended.stdout))


# What it loads and imports


def test_the_samples_layout_loads_with_a_warning(copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").unlink()
    (copy / "config.json").unlink()
    with LocalServer(copy, log=tmp_path / "log") as server:
        for version in ("INT8", "FP32"):
            answer = httpx.post(f"{server.url}/invocations", json={**BODY, "version": version}, timeout=30).json()
            assert (answer["answer"], answer["version"]) == ("Zoë Müller", version)
    assert "no manifest.json" in (tmp_path / "log").read_text()


def test_no_serving_process_imports_what_it_does_not_need(server: LocalServer) -> None:
    found = processes(server)

    def libraries(process: psutil.Process) -> str:
        return Path(f"/proc/{process.pid}/maps").read_text()

    assert "libtorch" not in libraries(found["worker"][0])
    for process in (*found["zygote"], *found["lanes"]):
        assert "libintel-ext-pt-cpu.so" in libraries(process)
        assert "libintel-ext-pt-python.so" not in libraries(process)  # IPEX's Python package loads it
        assert "tokenizers" not in libraries(process)  # nor transformers, which would
    assert len(found["lanes"]) == len(server.info()["lanes"])
    assert found["zygote"][0].num_threads() == 1  # others would be lost in the lanes that it forks


def test_each_thread_of_a_lane_has_its_core_and_is_nicer_than_the_http_process(server: LocalServer) -> None:
    found = processes(server)
    planned = sorted(lane["cores"] for lane in server.info()["lanes"])
    assert sorted(cores_of(lane) for lane in found["lanes"]) == planned
    assert all(lane.nice() > found["worker"][0].nice() for lane in found["lanes"])


# What it survives


def test_a_lane_that_dies_is_replaced_and_nothing_is_lost(demo_dir: Path, tmp_path: Path) -> None:
    with (
        LocalServer(demo_dir, {"RUNG_STEP": "128"}, log=tmp_path / "log") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        server.wait_until_warm()
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            asked = [pool.submit(client.post, "/invocations", json=LONG_BODY) for _ in range(6)]
            for _ in range(3):
                time.sleep(0.2)
                processes(server)["lanes"][0].kill()
            assert [future.result().status_code for future in asked] == [200] * 6
        assert len({future.result().json()["answer"] for future in asked}) == 1
        assert client.get("/ping").status_code == 200
        wait_for("all lanes alive", lambda: all(lane["is_alive"] for lane in server.info()["lanes"]))
        assert sum(lane["restarts"] for lane in server.info()["lanes"]) == 3


def test_a_lane_that_hangs_is_killed_and_its_window_runs_elsewhere(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        (wide,) = (lane for lane in processes(server)["lanes"] if len(cores_of(lane)) > 1)
        wide.suspend()  # a single request on an idle server goes there
        answer = httpx.post(f"{server.url}/invocations", json=BODY, timeout=60)
        assert (answer.status_code, answer.json()["answer"]) == (200, "Zoë Müller")
        assert "it hangs" in (tmp_path / "log").read_text()


def test_the_zygote_is_replaced_too(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        found = processes(server)
        found["zygote"][0].kill()
        found["lanes"][0].kill()
        wait_for("a new lane", lambda: sum(lane["restarts"] for lane in server.info()["lanes"]) == 1)
        wait_for("all lanes alive", lambda: all(lane["is_alive"] for lane in server.info()["lanes"]))
        assert httpx.post(f"{server.url}/invocations", json=BODY).status_code == 200


def test_the_ladder_gets_warm_though_the_zygote_dies_on_the_way(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"RUNG_STEP": "64"}, log=tmp_path / "log") as server:
        processes(server)["zygote"][0].kill()
        assert httpx.post(f"{server.url}/invocations", json=BODY, timeout=30).json()["answer"] == "Zoë Müller"
        server.wait_until_warm()
        assert "exit status -9" in (tmp_path / "log").read_text()
        for version in ("INT8", "FP32"):
            answer = httpx.post(f"{server.url}/invocations", json={**BODY, "version": version}, timeout=30)
            assert answer.json()["answer"] == "Zoë Müller"


def test_a_lane_gives_the_same_answer_whatever_its_kind(demo_dir: Path, tmp_path: Path) -> None:
    """Alone, a short request goes to the wide lane; beside another one to a narrow lane; a fifth window to the back."""
    items = [{**BODY, "parameters": {"top_k": 3}}] * 12
    with LocalServer(demo_dir, {"RUNG_STEP": "64"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        alone = httpx.post(f"{server.url}/invocations", json=items[0]).json()
        together = httpx.post(f"{server.url}/invocations", json={"instances": items}).json()["predictions"]
        assert together == [alone] * 12
        used = {re.search('lane="([a-z]+)', line)[1] for line in metric_lines(server, "bertqa_windows_total")}  # type: ignore[index]
        assert used == {lane["kind"] for lane in server.info()["lanes"]} - {"guard"}


def test_lanes_can_be_chosen_and_one_line_says_what_was_found(demo_dir: Path, tmp_path: Path) -> None:
    chosen = {"NARROW_LANES": "1", "BACKGROUND_LANES": "false", "GUARD_SHARE": "0"}
    with LocalServer(demo_dir, chosen, log=tmp_path / "log") as server:
        assert [lane["kind"] for lane in server.info()["lanes"]] == ["narrow"]
        assert httpx.post(f"{server.url}/invocations", json=LONG_BODY, timeout=30).status_code == 200
    (line,) = (line for line in (tmp_path / "log").read_text().splitlines() if "usable cores" in line)
    assert re.search(r"\d+ MB memory: lanes narrow-0 on \[\d+\]; rungs of 16 tokens; \d+ MB expected", line)


def test_a_worker_that_is_killed_takes_its_lanes_with_it_and_is_replaced(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        found = processes(server)
        old = [*found["zygote"], *found["lanes"]]
        found["worker"][0].kill()
        wait_for("the lanes' end", lambda: not any(process.is_running() for process in old))
        server.wait_until_ready()
        assert httpx.post(f"{server.url}/invocations", json=BODY).status_code == 200


def test_a_request_that_is_too_slow_gets_504(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"REQUEST_TIMEOUT_SECONDS": "1", "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        lanes = processes(server)["lanes"]
        for lane in lanes:
            lane.suspend()
        response = httpx.post(f"{server.url}/invocations", json=BODY, timeout=30)
        assert (response.status_code, response.json()["error_type"]) == (504, "deadline_exceeded")
        assert httpx.get(f"{server.url}/ping").status_code == 200
        for lane in lanes:
            lane.resume()
        assert httpx.post(f"{server.url}/invocations", json=BODY, timeout=30).status_code == 200


def test_more_than_the_queue_takes_is_refused_with_a_time_to_come_back(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, {"MAX_QUEUE_SECONDS": "0.2", "RUNG_STEP": "128"}, log=tmp_path / "log") as server:
        server.wait_until_warm()
        with (
            httpx.Client(base_url=server.url, timeout=60, limits=httpx.Limits(max_connections=50)) as client,
            concurrent.futures.ThreadPoolExecutor(50) as pool,
        ):
            asked = [pool.submit(client.post, "/invocations", json={**LONG_BODY, "version": "FP32"}) for _ in range(50)]
            responses = [future.result() for future in asked]
            refused = [response for response in responses if response.status_code == 429]
            assert 0 < len(refused) < 50
            assert {response.status_code for response in responses} == {200, 429}
            assert all(response.json()["error_type"] == "overloaded" for response in refused)
            assert all(re.fullmatch("[1-9][0-9]*", response.headers["retry-after"]) for response in refused)
            assert client.get("/ping").status_code == 200
            assert client.post("/invocations", json=BODY).status_code == 200


# How it stops


def test_sigterm_under_load_answers_what_was_accepted(demo_dir: Path, tmp_path: Path) -> None:
    with LocalServer(demo_dir, log=tmp_path / "log") as server:
        limits = httpx.Limits(max_connections=8)
        with (
            httpx.Client(base_url=server.url, timeout=60, limits=limits) as client,
            concurrent.futures.ThreadPoolExecutor(8) as pool,
        ):
            asked = [pool.submit(client.post, "/invocations", json=LONG_BODY) for _ in range(8)]
            wait_for(
                "work in the queue", lambda: "bertqa_queue_windows 0.0" not in httpx.get(f"{server.url}/metrics").text
            )
            time.sleep(0.3)  # all eight request lines are read by now
            found = processes(server)
            begin = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert [future.result().status_code for future in asked] == [200] * 8
        assert server.stop() == 0
        assert time.monotonic() - begin < 25
        everyone = [*found["worker"], *found["zygote"], *found["lanes"]]
        wait_for("the end of every process", lambda: not any(process.is_running() for process in everyone))


def test_sigterm_while_loading_ends_at_once(demo_dir: Path, tmp_path: Path) -> None:
    server = LocalServer(demo_dir, log=tmp_path / "log")
    wait_for("the open port", lambda: "Listening" in (tmp_path / "log").read_text())
    assert server.stop() == 0


def test_the_port_answers_503_while_the_model_loads(demo_dir: Path, tmp_path: Path) -> None:
    server = LocalServer(demo_dir, log=tmp_path / "log")
    try:
        wait_for("the lifecycle", lambda: "lanes narrow-0" in (tmp_path / "log").read_text())
        while True:
            try:
                ping = httpx.get(f"{server.url}/ping")
                break
            except httpx.TransportError:
                time.sleep(0.01)
        assert ping.status_code == 503
        answer = httpx.post(f"{server.url}/invocations", json=BODY)
        assert (answer.status_code, answer.json()["error_type"]) == (503, "not_ready")
    finally:
        server.stop()
