"""An environment of its own for each peer, under build/peers/env, from its pinned requirements.

Those that need torch see the project's environment behind their own, so that torch, 7 GB in its CUDA build, is there
once. pip takes what it finds there at the pinned version as installed, and installs anything else into the peer's own.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

from tools.errors import ToolError

ENVIRONMENTS = Path("build/peers/env")
REQUIREMENTS = Path(__file__).parent / "requirements"
WITH_TORCH = ("article", "transformers", "torchserve")


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or older than its requirements."""
    environment = ENVIRONMENTS / name
    python, ready = environment / "bin" / "python", environment / "ready"
    requirements = REQUIREMENTS / f"{name}.txt"
    pins = (requirements, REQUIREMENTS / "constraints.txt")
    if not ready.is_file() or any(file.stat().st_mtime > ready.stat().st_mtime for file in pins):
        print(f"making the environment of {name}: {environment}", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(environment))
        _show_torch(name, environment)
        pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(str(python), *pip, "-r", str(requirements))
        ready.touch()
    _show_torch(name, environment)  # again: the project's environment may be another one by now
    return python


def _show_torch(name: str, environment: Path) -> None:
    if name in WITH_TORCH:
        (site_packages,) = environment.glob("lib/python*/site-packages")
        (site_packages / "torch_of_the_project.pth").write_text(sysconfig.get_path("purelib") + "\n")


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        raise ToolError(f"this failed: {' '.join(command)}")
