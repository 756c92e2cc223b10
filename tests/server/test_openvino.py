"""A server whose model OpenVINO runs: its answers, its processes and their faults, and an environment without torch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from model_loader import manifest
from tests.artifacts import edit_manifest, link
from tests.engines import needs_torch
from tests.server.questions import ANSWER, BODY, post
from tests.server.server_process import command_of, cores_of, has_ended, log_rows, run_until_exit, server_processes
from tests.tools.command import run_tool
from tests.tools.demo_files import HELD_OUT
from tests.waiting import wait_until
from tools.local_server import PROGRAM_DIR, LocalServer
from tools.squad.examples import read_examples

LINEAR_LAYERS = 6 * 6 + 1  # of the demo model


@pytest.fixture(scope="module")
def openvino(openvino_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Start a server with OpenVINO's artifact, and wait until its whole ladder is warm."""
    log = tmp_path_factory.mktemp("openvino") / "log"
    with LocalServer(openvino_dir, {"RUNG_STEP": "64"}, log=log) as running:
        running.wait_until_warm()
        yield running


def test_the_artifact_names_the_engine_and_has_all_linear_layers_in_its_precision(openvino_dir: Path) -> None:
    made = manifest.read(openvino_dir)
    assert (made.made_with.ipex, list(made.precisions)) == (None, ["INT8", "FP32"])
    assert made.made_with.openvino
    for precision, entry in made.precisions.items():
        assert (entry.engine, entry.fused_groups) == ("openvino", LINEAR_LAYERS)
        name = f"model_{precision.lower()}"
        assert [file.file for file in entry.files] == [f"{name}.xml", f"{name}.bin"]
    assert made.precisions["FP32"].rms_difference < 1e-4
    assert 0 < made.precisions["INT8"].rms_difference < 0.5


def test_both_engines_give_the_same_answers(openvino: LocalServer, server: LocalServer) -> None:
    needs_torch()
    examples = read_examples(str(HELD_OUT))[::3]
    same = {"FP32": 0, "INT8": 0}
    for example in examples:
        for precision in same:
            body = {"question": example.question, "context": example.context, "version": precision}
            ours, theirs = (post(each, body).json() for each in (openvino, server))
            assert example.context[ours["start"] : ours["end"]] == ours["answer"]
            same[precision] += (ours["start"], ours["end"]) == (theirs["start"], theirs["end"])
            if precision == "FP32":
                assert ours["score"] == pytest.approx(theirs["score"], abs=1e-3)
    assert len(examples) >= 60
    assert same["FP32"] == len(examples)
    assert same["INT8"] >= 0.8 * len(examples)


def test_no_process_of_the_server_loads_torch(openvino: LocalServer) -> None:
    processes = [psutil.Process(openvino.process.pid)]
    # The zygote reaps those that have ended when it gets its next frame.
    processes += [each for each in processes[0].children(recursive=True) if not has_ended(each.pid)]
    assert len(processes) >= 8
    for process in processes:
        libraries = {Path(each.path).name for each in process.memory_maps()}
        assert not [name for name in libraries if name.startswith(("libtorch", "libintel-ext"))]


def test_the_start_checks_that_the_linear_layers_run_in_int8(openvino: LocalServer, openvino_dir: Path) -> None:
    assert openvino.info()["precisions"]["INT8"] == {
        "engine": "openvino",
        "fused_groups": LINEAR_LAYERS,
        "sha256": manifest.read(openvino_dir).precisions["INT8"].sha256,
    }
    assert openvino.log
    messages = [row["message"] for row in log_rows(openvino.log.read_text())]
    assert any(message.startswith("INT8 passes its golden examples") for message in messages)


def test_a_model_that_does_not_run_in_int8_is_not_served(openvino_dir: Path, tmp_path: Path) -> None:
    copy = copied(openvino_dir, tmp_path)
    edit_manifest(copy, lambda made: made["precisions"]["INT8"].update(fused_groups=LINEAR_LAYERS + 1))
    ended = run_until_exit({"MODEL_DIR": str(copy), "PRECISIONS": "INT8"})
    assert ended.returncode == 70
    assert f"INT8 has {LINEAR_LAYERS} fused groups, but had {LINEAR_LAYERS + 1} at quantization" in ended.stdout


@pytest.mark.parametrize("file", ["model_int8.xml", "model_int8.bin"])
def test_a_changed_file_is_refused(openvino_dir: Path, tmp_path: Path, file: str) -> None:
    copy = copied(openvino_dir, tmp_path)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).unlink()
    (copy / file).write_bytes(content)
    ended = run_until_exit({"MODEL_DIR": str(copy)})
    assert ended.returncode == 70
    assert file in ended.stdout


def test_each_lane_stays_on_its_cores(openvino: LocalServer) -> None:
    """Questions at once keep the narrow lanes busy, so a pass that moved its lane would show."""
    lanes = server_processes(openvino).lanes
    before = {lane.pid: cores_of(lane) for lane in lanes}
    seen: dict[int, set[tuple[int, ...]]] = {lane.pid: set() for lane in lanes}
    body = {**BODY, "context": f"{BODY['context']} " * 20}
    with ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(post, openvino, body) for _ in range(100)]
        while not all(each.done() for each in answers):
            for lane in lanes:
                seen[lane.pid].add(tuple(cores_of(lane)))
    assert all(each.result().status_code == 200 for each in answers)
    assert seen == {pid: {tuple(cores)} for pid, cores in before.items()}
    assert len({cores for found in seen.values() for cores in found if len(set(cores)) == 1}) == len(
        os.sched_getaffinity(0)
    )


def test_lanes_and_the_zygote_are_replaced(openvino: LocalServer) -> None:
    def all_alive() -> bool:
        return all(lane["is_alive"] and lane["warm_rungs"].get("INT8") for lane in openvino.info()["lanes"])

    found = server_processes(openvino)
    (wide,) = (lane for lane in found.lanes if len(set(cores_of(lane))) > 1)
    narrow = next(lane for lane in found.lanes if len(set(cores_of(lane))) == 1)
    before = restarts(openvino)
    for process in (narrow, wide):
        process.kill()
        assert post(openvino, BODY).json()["answer"] == ANSWER
    wait_until("both lanes are replaced", lambda: restarts(openvino) > before + 1)
    wait_until("every lane is alive", all_alive)
    found.zygote.kill()
    (worker,) = psutil.Process(openvino.process.pid).children()
    wait_until("another zygote runs", lambda: bool(zygotes_of(worker) - {found.zygote.pid}))
    found.lanes[-1].kill()
    assert post(openvino, BODY).json()["answer"] == ANSWER
    wait_until("every lane is alive", all_alive)


def test_models_of_both_engines_are_served_beside_each_other(
    openvino_dir: Path, demo_dir: Path, tmp_path: Path
) -> None:
    needs_torch()
    settings = {"SAGEMAKER_MULTI_MODEL": "true", "PRECISIONS": "INT8", "WIDE_LANE": "false"}
    with (
        LocalServer(tmp_path / "nothing", settings, tmp_path / "log") as endpoint,
        httpx.Client(base_url=endpoint.url, timeout=120) as client,
    ):
        for name, directory in (("openvino", openvino_dir), ("ipex", demo_dir)):
            loaded = client.post("/models", json={"model_name": name, "url": str(directory)})
            assert loaded.status_code == 200, loaded.text
            assert client.post(f"/models/{name}/invoke", json=BODY).json()["answer"] == ANSWER
        assert client.delete("/models/ipex").status_code == 200
        assert client.post("/models/openvino/invoke", json=BODY).json()["answer"] == ANSWER


def test_evaluate_answers_in_its_own_process(openvino_dir: Path) -> None:
    ended = run_tool("evaluate", "--model-dir", openvino_dir, "--data", HELD_OUT, "--limit", 8)
    assert ended.returncode == 0, ended.stderr
    assert "INT8" in ended.stdout
    assert "FP32" in ended.stdout


def test_options_of_the_other_engine_are_refused(tmp_path: Path) -> None:
    needs_torch()
    ended = run_tool(
        "quantize", "--engine", "openvino", "--fp32-engine", "torch", "--model", "m", "--calibration", "c",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert ended.returncode == 2
    assert "--fp32-engine belongs to --engine ipex" in ended.stderr


def test_it_is_served_where_torch_is_not_installed(openvino_dir: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    requirements = [f"--requirement={PROGRAM_DIR}/container/requirements{name}.txt" for name in ("-openvino", "")]
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / "bin" / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *requirements,
    ]
    subprocess.run([*install, "--constraint", PROGRAM_DIR / "container" / "constraints.txt"], check=True, timeout=900)
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout.lower()
    assert "openvino " in listed
    assert not {"torch", "intel_extension_for_pytorch", "transformers"} & {
        line.split()[0] for line in listed.splitlines()
    }
    path = {"PATH": f"{python.parent}:{os.environ['PATH']}", "WIDE_LANE": "false", "PRECISIONS": "INT8"}
    with LocalServer(openvino_dir, path, log=tmp_path / "log") as running:
        assert post(running, BODY).json()["answer"] == ANSWER
        assert running.info()["versions"]["torch"] is None


def zygotes_of(worker: psutil.Process) -> set[int]:
    """Return the process ids of the worker's zygotes that run."""
    found = {child.pid for child in worker.children() if "model_loader.zygote" in command_of(child)}
    return {pid for pid in found if not has_ended(pid)}


def restarts(server: LocalServer) -> int:
    """Return how many lanes were replaced since the server started."""
    return sum(lane["restarts"] for lane in server.info()["lanes"])


def copied(artifact: Path, folder: Path) -> Path:
    """Copy an artifact. The files of the models are hard links."""
    directory = folder / "model"
    directory.mkdir()
    for file in artifact.iterdir():
        link(file, directory / file.name)
    (directory / "manifest.json").unlink()
    (directory / "manifest.json").write_bytes((artifact / "manifest.json").read_bytes())
    return directory
