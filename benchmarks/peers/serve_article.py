"""Peer: the article's design as we understand it, for gunicorn's sync workers. Settings: ARTIFACT, THREADS (of a pass).

Flask, INT8 TorchScript through IPEX, every input padded and cut to 128 tokens, the argmax of all starts and of all
ends, tokens decoded back to text. Kinder than the sample that the article is about: the model is loaded and warmed
before the worker answers, and the tokenizer is the fast one.
"""

import os
from pathlib import Path

import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels that the TorchScript calls
import torch
from flask import Flask, Response, jsonify, request
from transformers import AutoTokenizer

from benchmarks.peers.torchscript import load_module

TOKENS = 128


def create_app() -> Flask:
    """For gunicorn."""
    artifact = Path(os.environ["ARTIFACT"])
    torch.set_num_threads(int(os.environ["THREADS"]))
    module, inputs = load_module(artifact)
    tokenizer = AutoTokenizer.from_pretrained(artifact)
    app = Flask(__name__)

    def answer(question: str, context: str) -> str:
        encoded = tokenizer(
            question, context, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            start, end = module(*(encoded[name] for name in inputs))[:2]
        tokens = encoded["input_ids"][0, int(start.argmax()) : int(end.argmax()) + 1]
        return tokenizer.decode(tokens)

    for _ in range(3):  # the first pass profiles, the second fuses
        answer("Who built it?", "The lighthouse was built by Zoë Müller.")

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        body = request.get_json()
        question, context = body["question"], body["context"]
        return jsonify(question=question, answer=answer(question, context))

    return app
