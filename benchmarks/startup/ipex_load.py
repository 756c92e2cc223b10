"""Load the INT8 model in this process, with IPEX as a library or as a package, and print figures as one JSON line.

ipex_library runs this module. torch and IPEX are imported in main, because their imports are what is measured.
"""

import json
import resource
import sys
import time
from pathlib import Path

WAYS = ("library", "package")
RUNG = 384  # every golden example fits


def main() -> None:
    """Import, load, warm one rung, and run the golden examples."""
    model_dir, way = sys.argv[1:]
    start = time.perf_counter()
    import torch  # noqa: F401  imported for the time that it takes

    torch_seconds = time.perf_counter() - start
    if way == "package":
        import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels

    import numpy as np

    from container import cpu
    from model_loader.artifact import open_artifact
    from model_loader.engines import torchscript

    artifact = open_artifact(Path(model_dir), ("INT8",), cpu.detect())
    model = torchscript.load(artifact.models[0])
    seconds = time.perf_counter() - start - torch_seconds
    groups = model.warm(RUNG).fused_groups
    examples = artifact.manifest.golden_examples if artifact.manifest else []
    logits = [model.forward(np.array(example.input_ids), example.context_offset, RUNG) for example in examples]
    figures = {
        "groups": groups,
        "seconds": seconds,
        "modules": len(sys.modules),
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "logits": [float(logit) for pair in logits for part in pair for logit in part],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
