"""Peer: a TorchServe handler, such as users write: TorchServe's own for questions knows neither windows nor offsets.

Reads our artifact from ARTIFACT. Pads windows to multiples of 16 tokens and warms all of them before the worker counts
as ready: a length that IPEX's fused graph meets for the first time takes long, and it remembers only 87 of them.
"""

import os
from pathlib import Path

import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels that the TorchScript calls
import numpy as np
import torch
from tokenizers import Encoding
from ts.context import Context
from ts.torch_handler.base_handler import BaseHandler

from benchmarks.peers.question_answering import MAX_SEQ_LEN, Logits, Reader, tensors
from benchmarks.peers.torchscript import load_module

STEP = 16


class QuestionHandler(BaseHandler):
    """JSON {"question", "context"} to the best span."""

    def initialize(self, context: Context) -> None:
        """Load and warm; TorchServe calls it once in each worker."""
        artifact = Path(os.environ["ARTIFACT"])
        self.module, self.inputs = load_module(artifact)
        self.reader = Reader(artifact / "tokenizer.json")
        (window,) = self.reader.windows("word", "word")
        for tokens in range(MAX_SEQ_LEN, 0, -STEP):
            for _ in range(3):
                self.forward(window, tokens)
        self.initialized = True

    def forward(self, window: Encoding, tokens: int) -> Logits:
        """One pass, padded to so many tokens."""
        padding = ((0, 0), (0, tokens - len(window.ids)))
        arrays = {name: torch.from_numpy(np.pad(array, padding)) for name, array in tensors(window).items()}
        with torch.inference_mode():
            start, end = self.module(*(arrays[name] for name in self.inputs))[:2]
        return start[0, : len(window.ids)].numpy(), end[0, : len(window.ids)].numpy()

    def handle(self, data: list[dict], context: Context) -> list[dict]:
        """One batch, of one request: batching gains nothing on a CPU."""
        answers = []
        for row in data:
            body = row["body"]
            windows = self.reader.windows(body["question"], body["context"])
            logits = [self.forward(window, -(-len(window.ids) // STEP) * STEP) for window in windows]
            answers.append(self.reader.answer(body["context"], windows, logits))
        return answers
