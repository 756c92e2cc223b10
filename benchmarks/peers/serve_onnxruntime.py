"""Peer: ONNX Runtime behind FastAPI. Settings: CHECKPOINT, MODEL (.onnx), LANES (passes at once), THREADS (of a pass).

One session serves all lanes: its run() may be called from many threads, and with one intra-op thread each call computes
in the thread that calls.
"""

import os
from threading import BoundedSemaphore

import onnxruntime
from fastapi import FastAPI
from tokenizers import Encoding

from benchmarks.peers import http_app
from benchmarks.peers.question_answering import Logits, tensors


def create_app() -> FastAPI:
    """For uvicorn's --factory."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["THREADS"])
    session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
    names = {node.name for node in session.get_inputs()}
    free = BoundedSemaphore(int(os.environ["LANES"]))

    def forward(window: Encoding) -> Logits:
        feed = {name: array for name, array in tensors(window).items() if name in names}
        start, end = session.run(["start_logits", "end_logits"], feed)
        return start[0], end[0]

    def engine(windows: list[Encoding]) -> list[Logits]:
        with free:
            return [forward(window) for window in windows]

    return http_app.create_app(engine)
