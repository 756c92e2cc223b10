"""Compare loading IPEX's shared library alone with importing IPEX's Python package.

    python -m benchmarks.startup.ipex_library --model-dir build/demo

Each way loads the INT8 model in a process of its own. The output has the fused groups, seconds, memory and number of
Python modules of each, and the largest difference between their logits.
"""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.arguments import DEMO, benchmark_parser
from benchmarks.startup import ipex_load
from tools.errors import ToolError, run


def main() -> None:
    """Run both ways and print what differs."""
    given = benchmark_parser(__doc__, model_dir=DEMO).parse_args()
    loaded: dict[str, dict[str, Any]] = {}
    for way in ipex_load.WAYS:
        command = [sys.executable, "-W", "ignore", "-m", ipex_load.__name__, str(given.model_dir), way]
        environment = {**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise ToolError(f"loading by the {way} failed; the message is above")
        figures = loaded[way] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{way:8} {figures['groups']} fused groups, {figures['seconds']:.1f} s in addition to importing torch, "
            f"{figures['mb']:.0f} MB peak, {figures['modules']} Python modules"
        )
    library, package = (np.array(loaded[way]["logits"]) for way in ipex_load.WAYS)
    print(f"largest difference of logits over the golden examples: {np.abs(library - package).max()}")


if __name__ == "__main__":
    run(main)
