"""A TorchServe handler such as users write. TorchServe's own handler for questions knows neither windows nor offsets.

The handler reads our artifact from ARTIFACT. It pads windows to multiples of 16 tokens, and warms all of these lengths
before the worker is ready: IPEX's fused graph needs long for a length that it has not seen, and remembers only 87.
"""

import os
from pathlib import Path
from typing import Any

import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels that the TorchScript calls
import numpy as np
import torch
from tokenizers import Encoding
from ts.context import Context
from ts.torch_handler.base_handler import BaseHandler

from benchmarks.peers.question_answering import MAX_SEQ_LEN, Logits, Reader, tensors
from benchmarks.peers.serving.torchscript import load_module

STEP = 16
WARM_PASSES = 3  # of each length


class QuestionHandler(BaseHandler):  # type: ignore[misc]  # torchserve is not in the project's environment
    """Answers JSON {"question", "context"} with the best span."""

    def initialize(self, context: Context) -> None:
        """Load and warm the model. TorchServe calls this once in each worker."""
        artifact = Path(os.environ["ARTIFACT"])
        self.module, self.inputs = load_module(artifact)
        self.reader = Reader(artifact / "tokenizer.json")
        (window,) = self.reader.windows("word", "word")
        for tokens in range(MAX_SEQ_LEN, 0, -STEP):
            for _ in range(WARM_PASSES):
                self.forward(window, tokens)
        self.initialized = True

    def forward(self, window: Encoding, tokens: int) -> Logits:
        """Run one pass, padded to `tokens` tokens; return the logits without the padding."""
        padding = ((0, 0), (0, tokens - len(window.ids)))
        arrays = {name: torch.from_numpy(np.pad(array, padding)) for name, array in tensors(window).items()}
        with torch.inference_mode():
            start, end = self.module(*(arrays[name] for name in self.inputs))[:2]  # (1, tokens) each
        return start[0, : len(window.ids)].numpy(), end[0, : len(window.ids)].numpy()

    def handle(self, data: list[dict[str, Any]], context: Context) -> list[dict[str, str | int | float]]:
        """Answer one batch. A batch has one request, because larger batches gain nothing on a CPU."""
        answers = []
        for row in data:
            body = row["body"]
            windows = self.reader.windows(body["question"], body["context"])
            logits = [self.forward(window, -(-len(window.ids) // STEP) * STEP) for window in windows]
            answers.append(self.reader.answer(body["context"], windows, logits))
        return answers
