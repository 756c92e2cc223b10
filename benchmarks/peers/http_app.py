"""The HTTP side of the FastAPI peers: one blocking route, which FastAPI runs in its thread pool, as its docs say."""

import os
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Encoding

from benchmarks.peers.question_answering import Logits, Reader

Engine = Callable[[list[Encoding]], list[Logits]]  # called from many threads; limits itself to what its cores can do


class Question(BaseModel):
    """What is asked; other fields are ignored."""

    question: str
    context: str


def create_app(engine: Engine) -> FastAPI:
    """POST /invocations answers, GET /ping says 200 once the engine is loaded."""
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
