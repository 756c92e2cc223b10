"""ONNX Runtime behind FastAPI. Settings: CHECKPOINT, MODEL (.onnx), LANES (passes at once), THREADS (of a pass).

One session serves all lanes, because many threads may call its run() at once. With one intra-op thread, each call
computes in the thread that makes the call.
"""

import os
from threading import BoundedSemaphore

import onnxruntime
from fastapi import FastAPI
from tokenizers import Encoding

from benchmarks.peers.question_answering import Logits, tensors
from benchmarks.peers.serving import fastapi_app


def create_app() -> FastAPI:
    """Load the model and return the app, for uvicorn's --factory."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["THREADS"])
    session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
    names = {node.name for node in session.get_inputs()}
    free_lanes = BoundedSemaphore(int(os.environ["LANES"]))

    def forward(window: Encoding) -> Logits:
        feed = {name: array for name, array in tensors(window).items() if name in names}
        start, end = session.run(["start_logits", "end_logits"], feed)  # (1, T) each
        return start[0], end[0]

    def engine(windows: list[Encoding]) -> list[Logits]:
        with free_lanes:
            return [forward(window) for window in windows]

    return fastapi_app.create_app(engine)
