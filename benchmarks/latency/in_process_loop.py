"""Call the TorchScript of an artifact in a loop, without a server: the comparison for http_overhead.

http_overhead runs this module through line_process. For each line on stdin, the process runs one pass and prints the
milliseconds of the pass.
"""

import argparse
import time
from pathlib import Path

from benchmarks.line_process import answer_lines
from container import cpu
from model_loader.artifact import open_artifact

WARM_PASSES = 20
ANY_TOKEN = 2773


def main() -> None:
    """Load the model as the server does, then call the bare module as a plain script would."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("precision")
    parser.add_argument("tokens", type=int)
    given = parser.parse_args()

    import torch  # Not at the top: http_overhead imports this module only for its name.

    from model_loader.engines import torchscript

    box = cpu.detect()
    (file,) = open_artifact(given.model_dir, (given.precision,), box).models
    torch.set_num_threads(len(box.cores))
    torchscript.load(file)  # This call also sets torch's executor as the server sets it.
    module = torch.jit.load(file.path).eval()
    ids = torch.full((1, given.tokens), ANY_TOKEN)  # (1, T)
    tensors = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    arguments = [tensors[name] for name in file.inputs]

    def one_pass_ms() -> float:
        start = time.perf_counter()
        module(*arguments)
        return (time.perf_counter() - start) * 1000

    with torch.inference_mode():
        for _ in range(WARM_PASSES):
            module(*arguments)
        answer_lines(one_pass_ms)


if __name__ == "__main__":
    main()
