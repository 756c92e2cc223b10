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
from ray.serve._private import replica

from benchmarks.peers.serving.fastapi_app import Question

routes = FastAPI()


def _listen_on_this_machine_only() -> None:
    """Move a replica's port for other deployments' calls from all addresses to 127.0.0.1. Ray has no setting for it."""
    listen = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, address: listen(server, address.replace("[::]", "127.0.0.1"))


@serve.deployment  # This pickles the class with the names that are defined so far.
@serve.ingress(routes)
class QuestionAnswering:
    """Answers JSON {"question", "context"} with the best span."""

    def __init__(self) -> None:
        from benchmarks.peers.serving.padded_model import PaddedModel  # Only replicas need torch.

        _listen_on_this_machine_only()
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
