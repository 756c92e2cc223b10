"""`make doctor` says what a machine has and lacks."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[4] / "container" / "setup" / "doctor.py"


def doctor(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor with the system's Python, as before set-up."""
    return subprocess.run(
        ["python3", SCRIPT], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_this_machine_can_run_the_server() -> None:
    done = doctor()
    assert done.returncode == 0, done.stdout
    states = {line[: len("docker-registry")].strip(): line.split()[-1] for line in done.stdout.splitlines()}
    assert {"system", "CPU", "memory", "disk", "Python 3.11", ".venv", "demo model", "docker", "chromium"} <= set(
        states
    )
    assert "avx2 (the server can run)" in done.stdout
    assert "torch 2.8.0" in done.stdout


def test_what_is_needed_and_missing_decides_the_exit_code() -> None:
    done = doctor(PYTHON="/nothing/python3.11")
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if "MISSING" in line)
    assert line.endswith("/nothing/python3.11 is not there; set PYTHON=...")
