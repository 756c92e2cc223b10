"""Peer: transformers, eager FP32, behind FastAPI. Settings: CHECKPOINT, LANES (passes at once), THREADS (of a pass)."""

import os
from threading import BoundedSemaphore

import torch
from fastapi import FastAPI
from tokenizers import Encoding
from transformers import AutoModelForQuestionAnswering

from benchmarks.peers import http_app
from benchmarks.peers.question_answering import Logits, tensors


def create_app() -> FastAPI:
    """For uvicorn's --factory."""
    torch.set_num_threads(int(os.environ["THREADS"]))
    model = AutoModelForQuestionAnswering.from_pretrained(os.environ["CHECKPOINT"], dtype=torch.float32).eval()
    free = BoundedSemaphore(int(os.environ["LANES"]))

    def forward(window: Encoding) -> Logits:
        with torch.inference_mode():
            output = model(**{name: torch.from_numpy(array) for name, array in tensors(window).items()})
        return output.start_logits[0].numpy(), output.end_logits[0].numpy()

    def engine(windows: list[Encoding]) -> list[Logits]:
        with free:
            return [forward(window) for window in windows]

    return http_app.create_app(engine)
