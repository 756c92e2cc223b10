"""setup.sh says what it downloads, installs torch first, and completes an environment that was interrupted.

The scripted Python at the far end writes down how it was called, and installs nothing.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "container" / "setup" / "setup.sh"
SCRIPTED = """#!/bin/sh
case "$*" in
  "-c "*) exec "{real}" "$@" ;;
  "-m venv "*) mkdir -p "$3/bin"; [ -e "$3/bin/python" ] || cp "$0" "$3/bin/python" ;;
  *"{failing}"*) exit 1 ;;
esac
echo "$*" >> "{calls}"
"""


class SetUp:
    """Runs setup.sh with the scripted Python."""

    def __init__(self, folder: Path) -> None:
        self.venv = folder / "venv"
        self._python = folder / "python"
        self._calls = folder / "calls"
        self._path = folder / "path"  # before the system's folders, and nothing else, so that no other uv is found
        self._path.mkdir()

    def install_uv(self) -> None:
        """Put a scripted uv into the path, which writes down how it was called, and from which index it installs."""
        program = self._path / "uv"
        program.write_text(f'#!/bin/sh\necho "uv $* from ${{UV_DEFAULT_INDEX:-its own index}}" >> "{self._calls}"\n')
        program.chmod(0o755)

    def run(
        self, torch_index_url: str = "", failing: str = "nothing fails", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        script = SCRIPTED.format(real=sys.executable, calls=self._calls, failing=failing)
        for python in (self._python, self.venv / "bin" / "python"):
            if python.parent.exists():
                python.write_text(script)
                python.chmod(0o755)
        environment = {"PYTHON": str(self._python), "VENV": str(self.venv), "TORCH_INDEX_URL": torch_index_url}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
        path = {"PATH": f"{self._path}:/usr/bin:/bin"}
        return subprocess.run(
            ["sh", SCRIPT],
            env={**inherited, **environment, **path, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().splitlines()


@pytest.fixture
def set_up(tmp_path: Path) -> SetUp:
    return SetUp(tmp_path)


def test_the_size_of_the_download_and_how_to_make_it_smaller_come_first(set_up: SetUp) -> None:
    done = set_up.run()
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith(f"Set-up, once: downloads about 4.2 GB, and {set_up.venv} will take 8 GB, because torch ")
    assert "TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu" in done.stdout
    assert last == "Set-up is complete."
    venv, torch, others = set_up.calls
    assert venv == f"-m venv {set_up.venv}"
    assert torch.endswith("install --disable-pip-version-check torch==2.8.0")
    assert others.endswith("-c container/constraints.txt")
    assert (set_up.venv / "ready").exists()


def test_torch_alone_comes_from_the_index_that_is_named(set_up: SetUp) -> None:
    done = set_up.run("https://wheels.example/cpu")
    assert done.stdout.startswith("Set-up, once: torch comes from https://wheels.example/cpu.")
    _, torch, others = set_up.calls
    assert torch.endswith("--index-url https://wheels.example/cpu torch==2.8.0")
    assert "wheels.example" not in others


def test_an_interrupted_environment_is_completed_and_an_outdated_one_is_made_anew(set_up: SetUp) -> None:
    interrupted = set_up.run(failing="requirements-dev.txt")
    assert interrupted.returncode == 1
    assert not (set_up.venv / "ready").exists()
    (set_up.venv / "downloaded").touch()
    assert set_up.run().returncode == 0
    assert (set_up.venv / "downloaded").exists()
    assert set_up.run().returncode == 0  # make runs it again when the requirements have changed
    assert not (set_up.venv / "downloaded").exists()
    assert not set_up.venv.with_name("venv.old").exists()


def test_torch_from_another_index_needs_a_new_environment(set_up: SetUp) -> None:
    assert set_up.run(failing="requirements-dev.txt").returncode == 1
    (set_up.venv / "downloaded").touch()
    assert set_up.run("https://wheels.example/cpu").returncode == 0
    assert not (set_up.venv / "downloaded").exists()


@pytest.mark.parametrize(
    ("settings", "index"),
    [
        ({}, "its own index"),
        ({"PIP_INDEX_URL": "https://wheels.example/all"}, "https://wheels.example/all"),
        (
            {"PIP_INDEX_URL": "https://wheels.example/all", "UV_DEFAULT_INDEX": "https://uv.example"},
            "https://uv.example",
        ),
    ],
)
def test_uv_installs_the_packages_if_it_is_there(set_up: SetUp, settings: dict[str, str], index: str) -> None:
    set_up.install_uv()
    done = set_up.run("https://wheels.example/cpu", **settings)
    assert done.returncode == 0, done.stderr
    assert "uv installs the packages." in done.stdout
    torch, others = [call for call in set_up.calls if call.startswith("uv ")]
    install = f"uv pip install --python {set_up.venv}/bin/python"
    assert torch == f"{install} --default-index https://wheels.example/cpu torch==2.8.0 from {index}"
    assert others.startswith(f"{install} -r container/requirements-torch.txt -r container/requirements-openvino.txt")
    assert others.endswith(f"-c container/constraints.txt from {index}")
    assert not any(" install " in call and not call.startswith("uv ") for call in set_up.calls)
