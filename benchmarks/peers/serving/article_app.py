"""The article's design as we understand it, for gunicorn's sync workers. Settings: ARTIFACT, THREADS (of a pass).

Flask serves INT8 TorchScript through IPEX. Every input is padded or cut to 128 tokens. The answer goes from the argmax
of all start logits to the argmax of all end logits, and its tokens are decoded to text. Two things are better than in
the article's sample: the model is loaded and warm before the worker answers, and the tokenizer is the fast one.
"""

import os
from pathlib import Path

import intel_extension_for_pytorch  # noqa: F401  its import registers the kernels that the TorchScript calls
import torch
from flask import Flask, Response, jsonify, request
from transformers import AutoTokenizer

from benchmarks.peers.serving.torchscript import load_module

TOKENS = 128
WARM_PASSES = 3  # The first pass profiles, the second fuses.


def create_app() -> Flask:
    """Load the model and return the app, for gunicorn."""
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
            start, end = module(*(encoded[name] for name in inputs))[:2]  # (1, 128) each
        tokens = encoded["input_ids"][0, int(start.argmax()) : int(end.argmax()) + 1]
        return str(tokenizer.decode(tokens))

    for _ in range(WARM_PASSES):
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
