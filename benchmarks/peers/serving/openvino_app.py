"""OpenVINO behind FastAPI. Settings: CHECKPOINT, MODEL (.xml), and OpenVINO's own properties as OV_NAME=value.

An AsyncInferQueue holds as many requests as the compiled model calls optimal. All windows of a document are submitted
at once.
"""

import os
from concurrent.futures import Future
from threading import Lock

import openvino
from fastapi import FastAPI
from tokenizers import Encoding

from benchmarks.peers.question_answering import Logits, tensors
from benchmarks.peers.serving import fastapi_app


def create_app() -> FastAPI:
    """Load the model and return the app, for uvicorn's --factory."""
    properties = {name.removeprefix("OV_"): value for name, value in os.environ.items() if name.startswith("OV_")}
    compiled = openvino.Core().compile_model(os.environ["MODEL"], "CPU", properties)
    names = {node.get_any_name() for node in compiled.inputs}
    queue = openvino.AsyncInferQueue(compiled)  # Its default size is OPTIMAL_NUMBER_OF_INFER_REQUESTS.

    def on_done(request: openvino.InferRequest, logits: "Future[Logits]") -> None:
        start, end = (request.get_tensor(name).data[0].copy() for name in ("start_logits", "end_logits"))
        logits.set_result((start, end))

    queue.set_callback(on_done)
    submitting = Lock()  # The queue does not choose an idle request safely if several threads ask at once.

    def submit(window: Encoding) -> "Future[Logits]":
        logits: Future[Logits] = Future()
        inputs = {name: array for name, array in tensors(window).items() if name in names}
        with submitting:
            queue.start_async(inputs, logits)  # This call waits until a request is idle.
        return logits

    def engine(windows: list[Encoding]) -> list[Logits]:
        return [logits.result() for logits in [submit(window) for window in windows]]

    return fastapi_app.create_app(engine)
