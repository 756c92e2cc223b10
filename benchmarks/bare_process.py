"""The other side of benchmarks.saturation: one process on one core that runs real windows, and nothing around them.

    python -m benchmarks.bare_process MODEL_DIR PRECISION DATA QUESTIONS CORE

For each line on stdin it runs all windows once, and prints the seconds that they took.
"""

import os
import random
import sys
import time
from pathlib import Path

import torch

from benchmarks import traffic
from container import cpu
from model_loader import ladder, torchscript
from model_loader.artifact import open_artifact
from serve.qa.features import Featurizer, WindowLimits
from tools.local_model import Cutter


def main() -> None:
    model_dir, precision, data, questions, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    artifact = open_artifact(Path(model_dir), (precision,), cpu.detect())
    limits = WindowLimits(artifact.max_seq_len, artifact.doc_stride, 64)
    windows = traffic.windows(traffic.read(data, int(questions)), Cutter(Featurizer(artifact.tokenizer_file), limits))
    random.Random(core).shuffle(windows)
    rungs = ladder.rungs(artifact.max_seq_len, 16)
    model = torchscript.load(artifact.models[0])
    for rung in rungs:
        model.warm(rung)
    work = [(each, ladder.rung_for(len(each.input_ids), rungs)) for each in windows]
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for window, rung in work:
            model.forward(window.input_ids, window.context_offset, rung)
        print(time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
