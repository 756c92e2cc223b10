"""The HTTP side of the peers behind FastAPI: one blocking route, which FastAPI runs in its thread pool."""

import os
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Encoding

from benchmarks.peers.question_answering import Logits, Reader

# Many threads call an engine at once. The engine itself limits how many passes run at the same time.
Engine = Callable[[list[Encoding]], list[Logits]]


class Question(BaseModel):
    """The body of a request. Other fields are ignored."""

    question: str
    context: str


def create_app(engine: Engine) -> FastAPI:
    """Return an app with POST /invocations and GET /ping. Load the engine first: /ping answers 200 from the start."""
    app = FastAPI()
    reader = Reader(Path(os.environ["CHECKPOINT"]) / "tokenizer.json")

    @app.get("/ping")
    def ping() -> None:
        return

    @app.post("/invocations")
    def answer(body: Question) -> dict[str, str | int | float]:
        windows = reader.windows(body.question, body.context)
        return reader.answer(body.context, windows, engine(windows))

    return app
