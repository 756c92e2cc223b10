"""transformers in eager FP32 behind FastAPI. Settings: CHECKPOINT, LANES (passes at once), THREADS (of a pass)."""

import os
from threading import BoundedSemaphore

import torch
from fastapi import FastAPI
from tokenizers import Encoding
from transformers import AutoModelForQuestionAnswering

from benchmarks.peers.question_answering import Logits, tensors
from benchmarks.peers.serving import fastapi_app


def create_app() -> FastAPI:
    """Load the model and return the app, for uvicorn's --factory."""
    torch.set_num_threads(int(os.environ["THREADS"]))
    model = AutoModelForQuestionAnswering.from_pretrained(
        os.environ["CHECKPOINT"], dtype=torch.float32, use_safetensors=True
    ).eval()
    free_lanes = BoundedSemaphore(int(os.environ["LANES"]))

    def forward(window: Encoding) -> Logits:
        with torch.inference_mode():
            output = model(**{name: torch.from_numpy(array) for name, array in tensors(window).items()})
        return output.start_logits[0].numpy(), output.end_logits[0].numpy()

    def engine(windows: list[Encoding]) -> list[Logits]:
        with free_lanes:
            return [forward(window) for window in windows]

    return fastapi_app.create_app(engine)
