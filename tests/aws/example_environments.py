"""Virtual environments for the examples, because their packages are large or do not fit to those of this project."""

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "examples"
INSTALL_SECONDS = 300


def environment_of(requirements: Path) -> Path:
    """Return the folder of the environment with these requirements, whether it has been made or not."""
    digest = sha256(requirements.read_bytes()).hexdigest()[:12]
    return ROOT / "build" / "examples" / f"{requirements.parent.name}-{requirements.stem}-{digest}"


def python_with(requirements: Path) -> Path:
    """Return the Python of an environment in build/examples with these requirements. The environment is made once.

    The test is skipped if the packages cannot be installed, for example without a connection to a package index.
    """
    folder = environment_of(requirements)
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    # Compiled files would take longer than the packages themselves, and few of them are imported.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    install = [*pip, "--disable-pip-version-check", "-r", str(requirements)]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{requirements.name} was not installed within {INSTALL_SECONDS} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        pytest.skip(f"{requirements.relative_to(ROOT)} cannot be installed: {last}")
    ready.touch()
    return python
