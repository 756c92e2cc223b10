"""One model of a multi-model endpoint, from its start to its end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from model_loader.errors import ModelLoadError
from serve.errors import LoadFailed, ModelUnusable, NotEnoughMemory, NotReady
from serve.lanes.memory_model import MemoryModel
from serve.lanes.zygote_client import ZygoteEnded
from serve.lifecycle import Lifecycle
from serve.processes.child import until_ended
from serve.servable import State


class LoadedModel:
    """A model, and the requests that use it."""

    def __init__(self, name: str, url: str, lifecycle: Lifecycle, memory_mb: float, memory: MemoryModel) -> None:
        self.name = name
        self.url = url
        self.lifecycle = lifecycle
        self.memory_mb = memory_mb  # the most that the model is expected to use, without the shared libraries
        self.memory = memory
        self._start: asyncio.Task[None] | None = None
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextmanager
    def in_use(self) -> Iterator[Lifecycle]:
        """Mark the model as in use by a request. An unload waits until no request uses the model."""
        self._requests += 1
        self._unused.clear()
        try:
            yield self.lifecycle
        finally:
            self._requests -= 1
            if self._requests == 0:
                self._unused.set()

    async def start(self) -> None:
        """Start the model; return when it can answer. The rest of its ladder is warmed afterwards.

        Raises: RequestError.
        """
        self._start = asyncio.create_task(self.lifecycle.start())
        await self.lifecycle.decided.wait()
        if self.lifecycle.state is not State.READY:
            raise _reason(self.lifecycle.failure)

    async def end(self) -> None:
        """Answer the accepted requests, then end all processes of the model; they have ended when this returns."""
        self.lifecycle.drain()
        await self._unused.wait()
        if self._start:
            self._start.cancel()
            await asyncio.wait([self._start])
        lanes = self.lifecycle.supervisor.pids
        await self.lifecycle.close()
        await asyncio.gather(*map(until_ended, lanes))


def _reason(failure: Exception | None) -> Exception:
    """Return the error that tells the platform why a model did not start."""
    if failure is None:
        return NotReady("the server is stopping")
    if isinstance(failure, ZygoteEnded) and failure.was_killed:
        return NotEnoughMemory("the system killed the process that loaded this model, because memory ran out")
    if isinstance(failure, ModelLoadError) and not isinstance(failure, ZygoteEnded):
        return ModelUnusable(str(failure))
    return LoadFailed("this model could not be loaded; the log says why")
