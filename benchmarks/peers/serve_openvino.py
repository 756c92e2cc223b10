"""Peer: OpenVINO behind FastAPI. Settings: CHECKPOINT, MODEL (.xml), and OpenVINO's own properties as OV_NAME=value.

An AsyncInferQueue holds as many requests as the compiled model calls optimal; a document's windows run side by side.
"""

import os
from concurrent.futures import Future
from threading import Lock

import openvino
from fastapi import FastAPI
from tokenizers import Encoding

from benchmarks.peers import http_app
from benchmarks.peers.question_answering import Logits, tensors


def create_app() -> FastAPI:
    """For uvicorn's --factory."""
    properties = {name.removeprefix("OV_"): value for name, value in os.environ.items() if name.startswith("OV_")}
    compiled = openvino.Core().compile_model(os.environ["MODEL"], "CPU", properties)
    names = {node.get_any_name() for node in compiled.inputs}
    queue = openvino.AsyncInferQueue(compiled)  # its default size is OPTIMAL_NUMBER_OF_INFER_REQUESTS

    def on_done(request: openvino.InferRequest, answer: "Future[Logits]") -> None:
        start, end = (request.get_tensor(name).data[0].copy() for name in ("start_logits", "end_logits"))
        answer.set_result((start, end))

    queue.set_callback(on_done)
    one_at_a_time = Lock()  # the queue's choice of an idle request is not safe among threads

    def submit(window: Encoding) -> "Future[Logits]":
        answer: Future[Logits] = Future()
        inputs = {name: array for name, array in tensors(window).items() if name in names}
        with one_at_a_time:
            queue.start_async(inputs, answer)  # waits until a request is idle
        return answer

    def engine(windows: list[Encoding]) -> list[Logits]:
        return [answer.result() for answer in [submit(window) for window in windows]]

    return http_app.create_app(engine)
