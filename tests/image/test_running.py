"""The container runs within limits, read-only, without network, as any user, without a model and with bad ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts import edit_manifest
from tests.image.engine import Container, run_image

CONTEXT = "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller."
BODY = json.dumps({"question": "Who built the lighthouse?", "context": CONTEXT}).encode()
ANSWER = "Zoë Müller"


def user_ids(container: Container) -> set[str]:
    """Return the IDs of the users that the server's processes run as."""
    script = "for p in /proc/[0-9]*; do grep -qs python $p/comm && grep ^Uid: $p/status | cut -f3; done; true"
    return set(container.execute("/bin/sh", "-c", script).split())


def test_the_demo_is_served_without_a_model_and_network_on_one_cpu_with_little_memory() -> None:
    options = ("--read-only", "--tmpfs", "/tmp", "--cpus", "1", "--memory", "2g")
    with Container(*options, network="none") as container:
        container.wait_until_ready()
        answer = json.loads(container.ask_inside("/invocations", BODY))
        assert answer["answer"] == CONTEXT[answer["start"] : answer["end"]] == ANSWER
        assert sum("serving the small demo model" in message for message in container.messages()) == 1
        (plan,) = (message for message in container.messages() if message.startswith("CPU "))
        assert "quota 1" in plan
        assert "2147 MB of memory" in plan  # 2 GiB
        info = json.loads(container.ask_inside("/info"))
        assert [lane["name"] for lane in info["lanes"] if lane["kind"] == "narrow"] == ["narrow-0"]
        print([message for message in container.messages() if message.startswith("ready")])


def test_root_is_given_up_before_the_port_opens(mounted: Container) -> None:
    assert mounted.post(content=BODY, headers={"Content-Type": "application/json"}).json()["answer"] == ANSWER
    messages = mounted.messages()
    given_up = next(i for i, message in enumerate(messages) if message.startswith("root privileges are given up"))
    assert given_up < next(i for i, message in enumerate(messages) if message.startswith("Listening"))
    assert user_ids(mounted) == {"10001"}


def test_root_serves_a_model_that_only_root_can_read(demo_dir: Path, tmp_path: Path) -> None:
    artifact = Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
    (artifact / "model_fp32.pt").chmod(0o600)
    with Container("--volume", f"{artifact}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        assert user_ids(container) == {"0"}
        assert any("stays root" in message for message in container.messages())


def test_the_container_runs_as_any_other_user(demo_dir: Path) -> None:
    options = ("--user", "12345:0", "--read-only", "--tmpfs", "/tmp", "--volume", f"{demo_dir}:/opt/ml/model:ro")
    with Container(*options) as container:
        container.wait_until_ready()
        assert user_ids(container) == {"12345"}
        assert container.post(content=BODY, headers={"Content-Type": "application/json"}).json()["answer"] == ANSWER


def test_nothing_is_written_outside_tmp() -> None:
    with Container() as container:
        container.wait_until_ready()
        container.post(content=BODY, headers={"Content-Type": "application/json"}).raise_for_status()
        script = "find / -xdev -newer /proc/1/cmdline -type f ! -path '/proc/*' ! -path '/sys/*' -print"
        written = container.execute("/bin/sh", "-c", script).split()
        assert [path for path in written if not path.startswith(("/tmp/", "/dev/shm/", "/run/"))] == []


def test_the_demo_is_served_if_the_default_folder_is_empty(tmp_path: Path) -> None:
    with Container("--volume", f"{tmp_path}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        assert any("serving the small demo model" in message for message in container.messages())


def test_a_named_folder_without_a_model_ends_the_server() -> None:
    ended = run_image("serve", options=("--env", "MODEL_DIR=/opt/nothing"))
    assert ended.returncode == 70
    assert "no model" in ended.stdout


def _damage(directory: Path) -> None:
    with (directory / "model_int8.pt").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damaged")


def _other_torch(directory: Path) -> None:
    edit_manifest(directory, lambda manifest: manifest["made_with"].update(torch="2.7.1"))


def _remove_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [(_damage, "SHA-256"), (_other_torch, "made with torch 2.7.1"), (_remove_tokenizer, "no tokenizer.json")],
    ids=["a damaged file", "another version of torch", "no tokenizer"],
)
def test_a_broken_model_ends_the_server_and_is_never_replaced_by_the_demo(
    change: Callable[[Path], None], reason: str, demo_dir: Path, tmp_path: Path
) -> None:
    artifact = Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
    change(artifact)
    ended = run_image("serve", options=("--volume", f"{artifact}:/opt/ml/model:ro"))
    assert ended.returncode == 70
    assert reason in ended.stdout
    assert "demo model" not in ended.stdout


def test_an_older_cpu_serves_the_precisions_that_it_can_run(demo_dir: Path) -> None:
    options = ("--env", "ONEDNN_MAX_CPU_ISA=AVX2", "--volume", f"{demo_dir}:/opt/ml/model:ro")
    with Container(*options) as container:
        container.wait_until_ready()
        answer: dict[str, Any] = container.post(json=json.loads(BODY)).json()
        assert answer["answer"] == ANSWER
        assert "AVX2," in next(message for message in container.messages() if message.startswith("CPU "))
