"""Training of a small model, in a process of its own."""

import subprocess
import sys
from pathlib import Path

from tools.local_server import PROGRAM_DIR


def test_training_passes_its_checks_in_a_process_of_its_own() -> None:
    """Run train_demo_checks.py. Other tests load IPEX, whose kernels replace torch's and have no gradient."""
    checks = Path(__file__).with_name("train_demo_checks.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(checks)]
    ended = subprocess.run(command, cwd=PROGRAM_DIR, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout
