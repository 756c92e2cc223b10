"""Make a virtual environment for each peer under build/peers/env, from its pinned requirements.

NO_TELEMETRY holds the variables that keep packages in them from reporting their use to their makers.

Environments that need torch also see the packages of the project's environment, so that torch (7 GB in its CUDA build)
is installed only once. pip takes a package that it finds there at the pinned version as installed, and installs all
other packages into the peer's own environment.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.errors import ToolError

ENVIRONMENTS = Path("build/peers/env")
REQUIREMENTS = Path(__file__).parent / "requirements"
WITH_TORCH = ("article", "transformers", "torchserve", "ray")
NO_TELEMETRY = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # transformers and huggingface_hub
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime, which reports by default since 1.29
    "CI": "true",  # OpenVINO's converter and NNCF. Their reports have no variable of their own, but stop in CI.
    "RAY_USAGE_STATS_ENABLED": "0",
}


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment. Makes the environment if it is missing or older than its pins.

    Raises: ToolError.
    """
    environment = ENVIRONMENTS / name
    python, ready = environment / "bin" / "python", environment / "ready"
    requirements = REQUIREMENTS / f"{name}.txt"
    pins = (requirements, REQUIREMENTS / "constraints.txt")
    if not ready.is_file() or any(file.stat().st_mtime > ready.stat().st_mtime for file in pins):
        print(f"making the environment of {name}: {environment}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(environment))
        _show_project_packages(name, environment)
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(str(python), *pip, "-r", str(requirements))
        ready.touch()
    _show_project_packages(name, environment)  # Again: the project's environment may have moved since.
    return python


def _show_project_packages(name: str, environment: Path) -> None:
    if name in WITH_TORCH:
        (site_packages,) = environment.glob("lib/python*/site-packages")
        (site_packages / "torch_of_the_project.pth").write_text(sysconfig.get_path("purelib") + "\n")


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        raise ToolError(f"this command failed: {' '.join(command)}")
