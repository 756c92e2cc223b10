"""Call the model of an artifact in a loop, without a server: the comparison for http_overhead.

http_overhead runs this module through line_process. For each line on stdin, the process runs one pass and prints the
milliseconds of the pass.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.line_process import answer_lines
from container import cpu
from model_loader.artifact import open_artifact
from model_loader.model_file import ModelFile

WARM_PASSES = 20
ANY_TOKEN = 2773


def main() -> None:
    """Load the model as the server does, then call the bare module as a plain script would."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("precision")
    parser.add_argument("tokens", type=int)
    given = parser.parse_args()

    machine = cpu.detect()
    (file,) = open_artifact(given.model_dir, (given.precision,), machine).models
    run = (openvino_pass if file.engine == "openvino" else torch_pass)(file, given.tokens, len(machine.cores))

    def one_pass_ms() -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1000

    for _ in range(WARM_PASSES):
        run()
    answer_lines(one_pass_ms)


def openvino_pass(file: ModelFile, tokens: int, threads: int) -> Callable[[], object]:
    """Return a function that runs one pass of OpenVINO."""
    from model_loader.engines import openvino_ir  # Not at the top: http_overhead imports this module only for its name.

    model = openvino_ir.load(file, threads)
    window = np.full(tokens, ANY_TOKEN)
    return lambda: model.forward(window, 0, tokens)


def torch_pass(file: ModelFile, tokens: int, threads: int) -> Callable[[], object]:
    """Return a function that runs one pass of torch."""
    import torch

    from model_loader.engines import torchscript

    torch.set_num_threads(threads)
    torchscript.load(file)  # This call also sets torch's executor as the server sets it.
    module = torch.jit.load(file.path).eval()
    ids = torch.full((1, tokens), ANY_TOKEN)  # (1, T)
    named = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    arguments = [named[name] for name in file.inputs]

    def run() -> object:
        with torch.inference_mode():
            return module(*arguments)

    return run


if __name__ == "__main__":
    main()
