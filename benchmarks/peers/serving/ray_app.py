"""Ray Serve's application: a FastAPI ingress with SageMaker's routes. Each replica has one model and one core.

Ray's documentation runs CPU-bound work in a thread pool that has at most as many threads as the replica has cores. The
pool here has one thread, because a pass already uses all threads of its replica. Settings: ARTIFACT.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastapi import FastAPI
from ray import serve

from benchmarks.peers.serving.fastapi_app import Question
from benchmarks.peers.serving.padded_model import PaddedModel

routes = FastAPI()


@serve.deployment
@serve.ingress(routes)
class QuestionAnswering:
    """Answers JSON {"question", "context"} with the best span."""

    def __init__(self) -> None:
        self._lane = ThreadPoolExecutor(max_workers=1)
        self._model = self._lane.submit(PaddedModel, Path(os.environ["ARTIFACT"])).result()

    @routes.get("/ping")
    async def ping(self) -> None:
        """Answer 200: Ray Serve sends requests only to replicas whose model is loaded and warm."""

    @routes.post("/invocations")
    async def invocations(self, body: Question) -> dict[str, str | int | float]:
        """Answer in the replica's thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._lane, self._model.answer, body.question, body.context)
