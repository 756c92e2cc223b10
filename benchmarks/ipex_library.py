"""Does IPEX's shared library alone do what importing its package does? Fused groups, logits, seconds, memory.

python -m benchmarks.ipex_library --model-dir build/demo
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = """
import json, resource, sys, time
start = time.perf_counter()
import torch
torch_seconds = time.perf_counter() - start
if sys.argv[2] == "package":
    import intel_extension_for_pytorch
from pathlib import Path
import numpy as np
from container import cpu
from model_loader import manifest
from model_loader import torchscript
from model_loader.artifact import open_artifact
artifact = open_artifact(Path(sys.argv[1]), ("INT8",), cpu.detect())
model = torchscript.load(artifact.models[0])
seconds = time.perf_counter() - start - torch_seconds
groups = model.warm(128).fused_groups
logits = [model.forward(np.array(p.input_ids), p.context_offset, 128) for p in artifact.manifest.golden_examples]
print(json.dumps({"groups": groups, "seconds": seconds, "modules": len(sys.modules),
    "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "logits": [float(x) for pair in logits for part in pair for x in part]}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/demo"))
    given = parser.parse_args()
    found = {}
    for way in ("library", "package"):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(given.model_dir), way]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[way] = json.loads(output.splitlines()[-1])
        print(
            f"{way:8} {found[way]['groups']} fused groups, {found[way]['seconds']:.1f} s beyond torch's own import, "
            f"{found[way]['mb']:.0f} MB peak, {found[way]['modules']} Python modules"
        )
    gap = np.abs(np.array(found["library"]["logits"]) - np.array(found["package"]["logits"])).max()
    print(f"largest difference of logits over the probes: {gap}")


if __name__ == "__main__":
    main()
