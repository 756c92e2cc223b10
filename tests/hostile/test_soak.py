"""The soak works, with few requests: `make soak-server` runs it with 100,000."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_short_soak_passes(demo_dir: Path) -> None:
    options = ["--model-dir", demo_dir, "--requests", "200", "--references", "20", "--kill-seconds", "5"]
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile.soak", *map(str, options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["lanes_killed"] > 0
    assert report["hostile"] > 0
    assert report["answers"] > 200
