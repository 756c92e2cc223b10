"""The models of a multi-model endpoint: they come and go while others answer, each with lanes and memory of its own.

What they share are the HTTP process and the cores (cores.py). Loads run one after the other, so that what is free is
known before each.
"""

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from container import cgroup
from container.cpu import Cpu
from container.settings import Settings
from model_loader import artifact as artifacts
from model_loader import memory
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError
from serve.errors import (
    LoadFailed,
    ModelAlreadyLoaded,
    ModelNotFound,
    ModelNotLoaded,
    ModelUnusable,
    NotEnoughMemory,
    NotReady,
)
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.plan import Choices, Plan, make_plan
from serve.lanes.zygote_client import ZygoteEnded, until_ended
from serve.lifecycle import Lifecycle, State

log = logging.getLogger(__name__)

HTTP_MB = 80  # of a plan's memory: the HTTP process, which is there already
LIBRARIES_MB = 270  # of a plan's memory: pages of torch and IPEX, which all zygotes share
RUNG_STEP = 64  # docs/batch-and-multi-model.md


class LoadedModel:
    """A model and those who use it."""

    def __init__(self, name: str, url: str, lifecycle: Lifecycle, memory_mb: float) -> None:
        self.name = name
        self.url = url
        self.lifecycle = lifecycle
        self.memory_mb = memory_mb  # that it may come to use, without what it shares
        self._start: asyncio.Task[None] | None = None
        self._requests = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextmanager
    def in_use(self) -> Iterator[Lifecycle]:
        """For the time of a request: an unload waits for its end."""
        self._requests += 1
        self._unused.clear()
        try:
            yield self.lifecycle
        finally:
            self._requests -= 1
            if self._requests == 0:
                self._unused.set()

    async def start(self) -> None:
        """Until it can answer; what else it warms goes on.

        Raises: RequestError.
        """
        self._start = asyncio.create_task(self.lifecycle.start())
        await self.lifecycle.decided.wait()
        if self.lifecycle.state is not State.READY:
            raise _reason(self.lifecycle.failure)

    async def end(self) -> None:
        """Answer what was accepted, then give everything back: the processes have ended when this returns."""
        self.lifecycle.drain()
        await self._unused.wait()
        if self._start:
            self._start.cancel()
            await asyncio.wait([self._start])
        lanes = self.lifecycle.pool.pids
        await self.lifecycle.close()
        await asyncio.gather(*map(until_ended, lanes))


class Models:
    """All of them; lives on the event loop. state, drain and close are as Lifecycle's."""

    def __init__(self, settings: Settings, cpu: Cpu) -> None:
        self.settings = settings
        self.cpu = cpu
        self.state = State.READY
        self._loaded: dict[str, LoadedModel] = {}
        self._living: set[LoadedModel] = set()  # loaded, on the way up, or on the way down
        self._cores = CoreArbiter()
        self._one_at_a_time = asyncio.Lock()
        self._all_mb = cgroup.free_memory_mb()

    @property
    def is_healthy(self) -> bool:
        """Whether models can be loaded and asked."""
        return self.state is State.READY

    def ping(self) -> bool:
        """Return is_healthy."""
        return self.is_healthy

    async def start(self) -> None:
        """Return at once: models come later, with `load`."""

    def __iter__(self) -> Iterator[LoadedModel]:
        """Those that are loaded, by name."""
        return iter(sorted(self._loaded.values(), key=lambda model: model.name))

    def find(self, name: str) -> LoadedModel:
        """The model of this name.

        Raises: ModelNotLoaded.
        """
        if name not in self._loaded:
            raise ModelNotLoaded("no model of this name is loaded; GET /models lists those that are")
        return self._loaded[name]

    async def load(self, name: str, url: str) -> None:
        """Load a model from a directory; returns when it can answer. A load that fails leaves nothing behind.

        Raises: RequestError.
        """
        async with self._one_at_a_time:
            if name in self._loaded:
                raise ModelAlreadyLoaded("a model of this name is loaded; unload it first")
            model = await asyncio.to_thread(self._open, name, url)
            if self.state is not State.READY:
                raise NotReady("the server is stopping")
            model.lifecycle.pool.cores = self._cores
            self._living.add(model)
            try:
                await model.start()
            except BaseException:
                await self._end(model)
                raise
            self._loaded[name] = model
        log.info("model %s is loaded, %d are", name, len(self._loaded))

    async def unload(self, name: str) -> None:
        """Unload a model; its memory is free when this returns.

        Raises: ModelNotLoaded.
        """
        model = self.find(name)
        del self._loaded[name]
        await self._end(model)
        log.info("model %s is unloaded, %d are left", name, len(self._loaded))

    def drain(self) -> None:
        """The server was told to stop: what was accepted is still answered."""
        self.state = State.DRAINING
        for model in self._living:
            model.lifecycle.drain()

    async def close(self) -> None:
        """End all models."""
        self.drain()
        await asyncio.gather(*(model.end() for model in self._living))

    async def _end(self, model: LoadedModel) -> None:
        await model.end()
        self._living.discard(model)
        gc.collect()  # queue, tokenizer and slots refer to each other
        memory.give_back()

    def _open(self, name: str, url: str) -> LoadedModel:
        """Read what is on disk, and see that it fits. In a thread: hashing takes a second for a gigabyte."""
        directory = Path(url)
        try:
            if not directory.is_dir():
                raise ModelNotFound("url: is not a directory on this machine")
            artifact = artifacts.open_artifact(directory, self.settings.precisions, self.cpu)
        except ModelLoadError as error:
            raise ModelUnusable(str(error)) from error
        except OSError as error:
            raise ModelUnusable(f"url: cannot be read ({error.strerror}); make it readable by all") from error
        free_mb = self._free_mb()
        extra_mb = max(artifact.file_mb.values())  # while it loads, the largest file is there twice
        plan = self._plan(artifact, None if self._living else free_mb + HTTP_MB - extra_mb)
        own_mb = plan.memory_mb - HTTP_MB - LIBRARIES_MB
        needed_mb = own_mb + extra_mb + (0 if self._living else LIBRARIES_MB)
        if needed_mb > free_mb:
            raise NotEnoughMemory(f"this model needs some {needed_mb:.0f} MB, {free_mb:.0f} MB are free")
        log.info(
            "model %s (%s): lanes %s; rungs of %d tokens; %.0f MB expected of %.0f MB free",
            name,
            artifact.name,
            ", ".join(lane.name for lane in plan.lanes),
            plan.rung_step,
            needed_mb,
            free_mb,
        )
        return LoadedModel(name, url, Lifecycle(self.settings, artifact, self.cpu, plan), own_mb)

    def _free_mb(self) -> float:
        """What no model uses, or will use once it is warm."""
        promised_mb = sum(model.memory_mb for model in self._living) + (LIBRARIES_MB if self._living else 0)
        return min(self._all_mb - promised_mb, cgroup.free_memory_mb())

    def _plan(self, artifact: Artifact, most_mb: float | None) -> Plan:
        """The lanes of a model.

        Only one that is alone is squeezed into what is there: beside others, the platform can unload one of those.
        """
        settings = self.settings
        choices = Choices(
            settings.narrow_lanes,
            settings.wide_lane,
            background_lanes=False,
            guard_lane=False,
            rung_step=settings.rung_step or RUNG_STEP,
        )
        return make_plan(self.cpu, choices, artifact.file_mb, artifact.max_seq_len, most_mb)


def _reason(failure: Exception | None) -> Exception:
    """Why a model did not come up, as the platform shall see it."""
    if failure is None:
        return NotReady("the server is stopping")
    if isinstance(failure, ZygoteEnded) and failure.was_killed:
        return NotEnoughMemory("the system killed the process that loaded this model: memory ran out")
    if isinstance(failure, ModelLoadError) and not isinstance(failure, ZygoteEnded):
        return ModelUnusable(str(failure))
    return LoadFailed("this model could not be loaded; the log says why")
