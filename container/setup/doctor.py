"""Say what this machine has and lacks for bert-qa.

`make doctor` runs it with Python 3.9 or later, before or after set-up. A bug report should
contain its output. It uses only Python's standard library.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SETUP_GB = 8  # .venv with torch's CUDA build (setup.sh)
SERVER_GB = 2  # the demo model with all its lanes takes 1.6 GB
FLAGS = {
    "avx2": "the server can run",
    "avx512f": "FP32 and INT8 are faster",
    "avx512_vnni": "INT8 is much faster",
    "amx_int8": "INT8 is fastest",
}


class Finding(NamedTuple):
    """One line of the report. is_needed: whether nothing works without it."""

    name: str
    is_there: bool
    text: str
    is_needed: bool = False


def main() -> None:
    """Print the findings; exit with 1 if something is missing without which the server cannot run here."""
    findings = [*machine(), *software()]
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        state = "ok" if finding.is_there else "MISSING" if finding.is_needed else "-"
        print(f"{finding.name:{width}}  {state:7}  {finding.text}")
    sys.exit(any(finding.is_needed and not finding.is_there for finding in findings))


def machine() -> list[Finding]:
    """Look at the system, the CPU, the memory and the disk."""
    system = f"{platform.system()} {platform.machine()}"
    is_x86 = system == "Linux x86_64"
    flags = cpu_flags()
    has = ", ".join(f"{flag} ({use})" for flag, use in FLAGS.items() if flag in flags)
    cpu = f"{os.cpu_count()} cores, {has}" if "avx2" in flags else "no AVX2; the server cannot run on this CPU"
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    disk_gb = shutil.disk_usage(ROOT).free / 2**30
    return [
        Finding("system", is_x86, system if is_x86 else f"{system}; use the image on Linux x86_64", is_needed=True),
        Finding("CPU", "avx2" in flags, cpu, is_needed=True),
        Finding("memory", memory_gb >= SERVER_GB, f"{memory_gb:.0f} GB; the demo model needs {SERVER_GB}"),
        Finding("disk", disk_gb >= SETUP_GB, f"{disk_gb:.0f} GB free; set-up needs up to {SETUP_GB}"),
    ]


def software() -> list[Finding]:
    """Look for Python 3.11, the environment, and the programs that parts of the project use."""
    python = os.environ.get("PYTHON", "python3.11")
    version = output(python, "-c", "import sys; print(sys.version.split()[0])")
    ready = ROOT / ".venv" / "ready"
    packages = output(str(ROOT / ".venv/bin/python"), "-c", PACKAGES) if ready.exists() else ""
    return [
        Finding("Python 3.11", version.startswith("3.11"), version or f"{python} is not there; set PYTHON=...", True),
        Finding(".venv", bool(packages), packages or "not complete yet; `make setup` makes it"),
        Finding("demo model", (ROOT / "build/demo/manifest.json").exists(), "build/demo; `make quantize` makes it"),
        _program("docker", "podman", use="the image, and its tests"),
        _program("chromium", "chromium-browser", "google-chrome", use="the tests of the page"),
        _program("docker-registry", use="the tests of pushing an image"),
        _program("node", use="the tests of clients in JavaScript and of the CDK example"),
    ]


PACKAGES = """
from importlib.metadata import version
print(", ".join(f"{name} {version(name)}" for name in ("torch", "intel-extension-for-pytorch", "transformers")))
"""


def cpu_flags() -> set[str]:
    """Return the flags of the first CPU; empty if the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def output(*command: str) -> str:
    """Return what a command prints, or "" if it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _program(*names: str, use: str) -> Finding:
    found = next((path for name in names if (path := shutil.which(name))), None)
    return Finding(names[0], found is not None, f"{found or 'not found'}; for {use}")


if __name__ == "__main__":
    main()
