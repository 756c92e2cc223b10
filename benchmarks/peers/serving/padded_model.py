"""Our artifact's INT8 TorchScript with IPEX, padded and warm: the model of TorchServe's handler and of Ray's replicas.

Windows are padded to multiples of 16 tokens, and all of these lengths are warm before the first question: IPEX's fused
graph needs long for a length that it has not seen, and remembers only 87.
"""

from pathlib import Path

import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels that the TorchScript calls
import numpy as np
import torch
from tokenizers import Encoding

from benchmarks.peers.question_answering import MAX_SEQ_LEN, Logits, Reader, tensors
from benchmarks.peers.serving.torchscript import load_module

STEP = 16
WARM_PASSES = 3  # of each length


class PaddedModel:
    """Answers one question at a time, in the thread that made the model: compiled lengths belong to a thread."""

    def __init__(self, artifact: Path) -> None:
        self._module, self._inputs = load_module(artifact)
        self._reader = Reader(artifact / "tokenizer.json")
        (window,) = self._reader.windows("word", "word")
        for tokens in range(MAX_SEQ_LEN, 0, -STEP):
            for _ in range(WARM_PASSES):
                self._forward(window, tokens)

    def answer(self, question: str, context: str) -> dict[str, str | int | float]:
        """Return the best span of all windows."""
        windows = self._reader.windows(question, context)
        logits = [self._forward(window, -(-len(window.ids) // STEP) * STEP) for window in windows]
        return self._reader.answer(context, windows, logits)

    def _forward(self, window: Encoding, tokens: int) -> Logits:
        """Run one pass, padded to `tokens` tokens; return the logits without the padding."""
        padding = ((0, 0), (0, tokens - len(window.ids)))
        arrays = {name: torch.from_numpy(np.pad(array, padding)) for name, array in tensors(window).items()}
        with torch.inference_mode():
            start, end = self._module(*(arrays[name] for name in self._inputs))[:2]  # (1, tokens) each
        return start[0, : len(window.ids)].numpy(), end[0, : len(window.ids)].numpy()
