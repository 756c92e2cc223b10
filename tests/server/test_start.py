"""The server starts, or it ends with an exit code and one line that says what to do."""

import hashlib
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.artifacts import edit_manifest, model_file
from tests.engines import needs_torch
from tests.server.questions import ANSWER, BODY, post
from tests.server.server_process import error_messages, metric_lines, run_until_exit
from tests.waiting import wait_until
from tools.local_server import LocalServer


@pytest.mark.parametrize("arguments", [("bogus",), ("server",), ("--help",)])
def test_an_unknown_command_shows_the_usage(arguments: tuple[str, ...]) -> None:
    ended = run_until_exit({}, *arguments)
    assert ended.returncode == 64
    assert ended.stderr.startswith("usage: serve")


@pytest.mark.parametrize(
    "setting",
    [
        ("PORT", "http"),
        ("port", "abc"),
        ("PRECISIONS", "INT4"),
        ("MAX_QUEUE_SECONDS", "-1"),
        ("HOST", "192.0.2.1"),
        ("onednn_max_cpu_isa", "AVX1024"),
    ],
)
def test_a_bad_setting_ends_the_server_with_one_line_that_names_it(setting: tuple[str, str], demo_dir: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(demo_dir), setting[0]: setting[1]})
    assert ended.returncode == 78
    assert len(ended.stdout.splitlines()) == 1
    assert setting[0] in ended.stdout
    assert setting[1] in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_port_in_use_ends_the_server_with_one_line_that_names_another_port(demo_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ended = run_until_exit({"MODEL_DIR": str(demo_dir), "PORT": str(port)})
    assert ended.returncode == 78
    (message,) = error_messages(ended.stdout)
    assert message.startswith(f"cannot start: port {port} is in use: stop the other server, or set PORT=")
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_cpu_without_avx2_ends_the_server_with_a_code_of_its_own(demo_dir: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(demo_dir), "ONEDNN_MAX_CPU_ISA": "SSE41"})
    assert ended.returncode == 69
    (message,) = error_messages(ended.stdout)
    assert "AVX2" in message
    assert "emulating" in message


def test_a_missing_model_ends_the_server_with_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    ended = run_until_exit({"MODEL_DIR": str(tmp_path / "nothing")})
    assert ended.returncode == 70
    (message,) = error_messages(ended.stdout)
    assert "MODEL_DIR" in message


def test_a_damaged_file_is_refused_before_the_port_opens(artifact_copy: Path) -> None:
    path = model_file(artifact_copy)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    ended = run_until_exit({"MODEL_DIR": str(artifact_copy)})
    assert ended.returncode == 70
    assert "SHA-256" in error_messages(ended.stdout)[0]
    assert "Listening" not in ended.stdout


def test_a_file_that_the_engine_cannot_load_ends_the_server_once(artifact_copy: Path) -> None:
    """The hash is right but the file is no model, so only the zygote notices, after the port is open."""
    model_file(artifact_copy).write_bytes(b"no model")

    def update_hash(manifest: dict[str, Any]) -> None:
        sha256 = hashlib.sha256(b"no model").hexdigest()
        manifest["precisions"]["INT8"] |= {"sha256": sha256, "size_bytes": len(b"no model")}

    edit_manifest(artifact_copy, update_hash)
    ended = run_until_exit({"MODEL_DIR": str(artifact_copy)})
    assert ended.returncode == 70
    assert ended.stdout.count("Booting worker") == 1
    assert any("cannot load" in message for message in error_messages(ended.stdout))


@pytest.mark.parametrize("precisions", ["INT8", "INT8,FP32"])
def test_int8_with_other_logits_than_at_quantization_is_refused_if_it_was_asked_for(
    artifact_copy: Path, precisions: str
) -> None:
    def lower_the_limit(manifest: dict[str, Any]) -> None:
        manifest["precisions"]["INT8"]["rms_difference"] /= 100

    edit_manifest(artifact_copy, lower_the_limit)
    ended = run_until_exit({"MODEL_DIR": str(artifact_copy), "PRECISIONS": precisions})
    assert ended.returncode == 70
    assert any("different logits on this CPU" in message for message in error_messages(ended.stdout))


def test_fp32_is_served_in_place_of_int8_with_other_logits_than_at_quantization(
    artifact_copy: Path, tmp_path: Path
) -> None:
    edit_manifest(artifact_copy, lambda manifest: manifest["precisions"]["INT8"].update(rms_difference=0.0))
    with LocalServer(artifact_copy, log=tmp_path / "log") as server:
        answer = post(server, BODY).json()
        assert (answer["answer"], answer["version"]) == (ANSWER, "FP32")
        refused = post(server, {**BODY, "version": "INT8"})
        assert refused.json()["error_type"] == "precision_unavailable"
        server.wait_until_warm()
        (metric,) = metric_lines(server, "bertqa_precision_passed_over{")
        assert 'precision="INT8",reason="INT8 returns different logits on this CPU' in metric
        assert "different logits" in server.info()["passed_over"]["INT8"]
        httpx.get(f"{server.url}/ping").raise_for_status()
    pings = [line for line in (tmp_path / "log").read_text().splitlines() if "/ping answers 200" in line]
    assert len(pings) == 1  # /ping was asked more often, but its answer did not change
    assert "FP32; INT8 is not served: INT8 returns different logits on this CPU" in pings[0]


def test_int8_without_fusion_is_refused(artifact_copy: Path) -> None:
    found = json.loads((artifact_copy / "manifest.json").read_text())["precisions"]["INT8"]["fused_groups"]
    edit_manifest(artifact_copy, lambda manifest: manifest["precisions"]["INT8"].update(fused_groups=found + 1))
    ended = run_until_exit({"MODEL_DIR": str(artifact_copy), "PRECISIONS": "INT8"})
    assert ended.returncode == 70
    expected = f"{found} fused groups, but had {found + 1} at quantization"
    assert any(expected in message for message in error_messages(ended.stdout))


def test_the_samples_layout_loads_with_a_warning(artifact_copy: Path, tmp_path: Path) -> None:
    needs_torch()
    (artifact_copy / "manifest.json").unlink()
    (artifact_copy / "config.json").unlink()
    with LocalServer(artifact_copy, log=tmp_path / "log") as server:
        for version in ("INT8", "FP32"):
            answer = post(server, {**BODY, "version": version}).json()
            assert (answer["answer"], answer["version"]) == (ANSWER, version)
    assert "no manifest.json" in (tmp_path / "log").read_text()


def test_the_server_answers_503_while_the_model_loads(demo_dir: Path, tmp_path: Path) -> None:
    server = LocalServer(demo_dir, log=tmp_path / "log")
    statuses = []

    def answers_ping() -> bool:
        try:
            statuses.append(httpx.get(f"{server.url}/ping").status_code)
        except httpx.TransportError:
            return False
        return True

    try:
        wait_until("the port is open", answers_ping)
        assert statuses == [503]
        answer = post(server, BODY)
        assert (answer.status_code, answer.json()["error_type"]) == (503, "not_ready")
    finally:
        server.stop()
