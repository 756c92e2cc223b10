"""The other side of http_overhead: one forward pass for each line on stdin, its milliseconds on stdout."""

import sys
import time
from pathlib import Path

import torch

from container import cpu
from model_loader import torchscript
from model_loader.artifact import open_artifact


def main() -> None:
    model_dir, precision, tokens = sys.argv[1:]
    box = cpu.detect()
    (file,) = open_artifact(Path(model_dir), (precision,), box).models
    torch.set_num_threads(len(box.cores))
    torchscript.load(file)  # sets the executor as the server does; then the bare module, called as a script would
    module = torch.jit.load(file.path).eval()
    ids = torch.full((1, int(tokens)), 2773)
    tensors = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    arguments = [tensors[name] for name in file.inputs]
    with torch.inference_mode():
        for _ in range(20):
            module(*arguments)
        for _ in sys.stdin:
            start = time.perf_counter()
            module(*arguments)
            print((time.perf_counter() - start) * 1000, flush=True)


if __name__ == "__main__":
    main()
