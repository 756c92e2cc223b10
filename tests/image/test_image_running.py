"""Where it runs: limits, read-only, without network, as any user, with no model and with bad ones."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.image.engine import Container, run_until_exit
from tests.server.test_process import edit_manifest

CONTEXT = "The lighthouse at Cape Arden was built in 1871 by the engineer Zoë Müller."
BODY = json.dumps({"question": "Who built the lighthouse?", "context": CONTEXT}).encode()
ANSWER = "Zoë Müller"


def user_ids(container: Container) -> set[str]:
    """The users of the server's processes."""
    script = "for p in /proc/[0-9]*; do grep -qs python $p/comm && grep ^Uid: $p/status | cut -f3; done; true"
    return set(container.execute("/bin/sh", "-c", script).split())


def test_with_no_model_no_network_one_cpu_and_little_memory_it_serves_the_demo() -> None:
    options = ("--read-only", "--tmpfs", "/tmp", "--cpus", "1", "--memory", "2g")
    with Container(*options, network="none") as container:
        container.wait_until_ready()
        answer = json.loads(container.ask_inside("/invocations", BODY))
        assert answer["answer"] == CONTEXT[answer["start"] : answer["end"]] == ANSWER
        assert sum("serving the small demo model" in message for message in container.messages()) == 1
        (plan,) = (message for message in container.messages() if message.startswith("cpu "))
        assert "quota 1" in plan
        assert "2147 MB memory" in plan  # 2 GiB
        info = json.loads(container.ask_inside("/info"))
        assert [lane["name"] for lane in info["lanes"] if lane["kind"] == "narrow"] == ["narrow-0"]
        print([message for message in container.messages() if message.startswith("ready")])


def test_root_is_given_up_before_the_port_opens(mounted: Container) -> None:
    assert mounted.post(content=BODY, headers={"Content-Type": "application/json"}).json()["answer"] == ANSWER
    messages = mounted.messages()
    given_up = next(i for i, message in enumerate(messages) if message.startswith("root privileges are given up"))
    assert given_up < next(i for i, message in enumerate(messages) if message.startswith("Listening"))
    assert user_ids(mounted) == {"10001"}


def test_a_model_that_only_root_can_read_is_served_by_root(demo_dir: Path, tmp_path: Path) -> None:
    artifact = Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
    (artifact / "model_fp32.pt").chmod(0o600)
    with Container("--volume", f"{artifact}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        assert user_ids(container) == {"0"}
        assert any("stays root" in message for message in container.messages())


def test_any_other_user_will_do(demo_dir: Path) -> None:
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


def test_an_empty_folder_at_the_default_is_no_model_either(tmp_path: Path) -> None:
    with Container("--volume", f"{tmp_path}:/opt/ml/model:ro") as container:
        container.wait_until_ready()
        assert any("serving the small demo model" in message for message in container.messages())


def test_a_named_folder_without_a_model_ends_it() -> None:
    ended = run_until_exit("serve", options=("--env", "MODEL_DIR=/opt/nothing"))
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
    ids=["damaged", "made by another torch", "half a model"],
)
def test_a_broken_model_ends_it_and_is_never_replaced_by_the_demo(
    change: Callable[[Path], None], reason: str, demo_dir: Path, tmp_path: Path
) -> None:
    artifact = Path(shutil.copytree(demo_dir, tmp_path / "artifact"))
    change(artifact)
    ended = run_until_exit("serve", options=("--volume", f"{artifact}:/opt/ml/model:ro"))
    assert ended.returncode == 70
    assert reason in ended.stdout
    assert "demo model" not in ended.stdout


def test_an_older_cpu_is_served_by_what_runs_there(demo_dir: Path) -> None:
    """A BF16 that this CPU cannot run is an error where it is asked for."""
    options = ("--env", "ONEDNN_MAX_CPU_ISA=AVX2", "--volume", f"{demo_dir}:/opt/ml/model:ro")
    with Container(*options) as container:
        container.wait_until_ready()
        answer: dict[str, Any] = container.post(json=json.loads(BODY)).json()
        assert answer["answer"] == ANSWER
        assert "AVX2," in next(message for message in container.messages() if message.startswith("cpu "))
