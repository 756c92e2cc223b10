"""The models of a multi-model endpoint. They are loaded and unloaded while others answer.

Each model has lanes and memory of its own. All models share the HTTP process and the cores (serve/lanes/core_arbiter).
Loads run one after the other, so that the free memory is known before each of them.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from container import cgroup, memory
from container.access.trusted_keys import TrustedKeys
from container.cpu import Cpu
from container.settings import Settings
from model_loader import artifact as artifacts
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError
from serve.errors import (
    ModelAlreadyLoaded,
    ModelNotFound,
    ModelNotLoaded,
    ModelUnusable,
    NotEnoughMemory,
    NotReady,
)
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.memory_model import MemoryModel
from serve.lanes.plan import Choices, Plan, make_plan
from serve.lifecycle import Lifecycle
from serve.machine_plan import model_size
from serve.multi_model.loaded_model import LoadedModel
from serve.processes.usage import ProcessUsage
from serve.request_metrics import RequestMetrics
from serve.servable import State

log = logging.getLogger(__name__)

HTTP_MB = 80  # the part of a plan's memory that the HTTP process uses, which is running already
RUNG_STEP = 64  # docs/batch-and-multi-model.md


class ModelRegistry:
    """All models of the endpoint; a serve.lifecycle.Servable. It lives on the event loop."""

    def __init__(self, settings: Settings, cpu: Cpu, trusted: TrustedKeys | None = None) -> None:
        """trusted: the keys of which one must have signed each model; None if models need not be signed."""
        self.settings = settings
        self._trusted = trusted
        self.cpu = cpu
        self.metrics = RequestMetrics()  # of requests that belong to no model, and of the server
        self.usage = ProcessUsage()
        self.state = State.READY
        self._loaded: dict[str, LoadedModel] = {}
        self._living: set[LoadedModel] = set()  # loaded, being loaded, or being unloaded
        self._cores = CoreArbiter()
        self._one_at_a_time = asyncio.Lock()
        self._all_mb = cgroup.free_memory_mb()

    def __iter__(self) -> Iterator[LoadedModel]:
        """Iterate over the loaded models, sorted by name."""
        return iter(sorted(self._loaded.values(), key=lambda model: model.name))

    def find(self, name: str) -> LoadedModel:
        """Return the model of this name.

        Raises: ModelNotLoaded.
        """
        if name not in self._loaded:
            raise ModelNotLoaded("no model of this name is loaded; GET /models lists the loaded models")
        return self._loaded[name]

    async def load(self, name: str, url: str) -> None:
        """Load a model from a directory; return when it can answer. A load that fails leaves nothing behind.

        Raises: RequestError.
        """
        async with self._one_at_a_time:
            if name in self._loaded:
                raise ModelAlreadyLoaded("a model of this name is loaded; unload it first")
            model = await asyncio.to_thread(self._open, name, url)
            if self.state is not State.READY:
                raise NotReady("the server is stopping")
            self._living.add(model)
            try:
                await model.start()
            except BaseException:
                await self._end(model)
                raise
            self._loaded[name] = model
        log.info("model %s is loaded; loaded models: %d", name, len(self._loaded))

    async def start(self) -> None:
        """Nothing is to be done: no model is loaded at the start, and POST /models loads them."""

    @property
    def has_lost_processes(self) -> bool:
        """Never: a model that has lost its lanes for good can be unloaded and loaded again."""
        return False

    def ping(self) -> bool:
        """Whether the server accepts loads and questions; no model need be loaded."""
        return self.state is State.READY

    async def unload(self, name: str) -> None:
        """Unload a model. Its memory is free when this returns.

        Raises: ModelNotLoaded.
        """
        model = self.find(name)
        del self._loaded[name]
        await self._end(model)
        log.info("model %s is unloaded; loaded models: %d", name, len(self._loaded))

    def drain(self) -> None:
        """Note that the server was told to stop. Accepted requests are still answered."""
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
        gc.collect()  # queues, lanes and tokenizer refer to each other, so only the garbage collector frees them
        memory.give_back()

    def _open(self, name: str, url: str) -> LoadedModel:
        """Open the artifact and check that the model fits. Runs in a thread: hashing a gigabyte takes a second."""
        directory = Path(url)
        try:
            if not os.path.isdir(directory):  # for any text, even one that is too long for a path
                raise ModelNotFound("url: is not a directory on this machine")
            artifact = artifacts.open_artifact(directory, self.settings.precisions, self.cpu, self._trusted)
        except ModelLoadError as error:
            raise ModelUnusable(f"url: {error}") from error
        except OSError as error:
            raise ModelUnusable(f"url: cannot be read ({error.strerror}); make it readable by all") from error
        free_mb = self._free_mb()
        extra_mb = max(artifact.file_mb.values())  # while a model loads, its largest file is in memory twice
        plan = self._plan(artifact, None if self._living else free_mb + HTTP_MB - extra_mb)
        memory_model = model_size(artifact, self.cpu).memory
        own_mb = plan.memory_mb + plan.batch_mb - HTTP_MB - memory_model.libraries_mb
        needed_mb = own_mb + extra_mb + (0 if memory_model in self._engines() else memory_model.libraries_mb)
        if needed_mb > free_mb:
            raise NotEnoughMemory(
                f"this model needs about {needed_mb:.0f} MB, and {free_mb:.0f} MB are free. Unload another model, give "
                "the container more memory, or set PRECISIONS=INT8"
            )
        log.info(
            "model %s (%s): lanes %s; rungs every %d tokens; %.0f MB expected of %.0f MB free",
            name,
            artifact.name,
            ", ".join(lane.name for lane in plan.lanes),
            plan.rung_step,
            needed_mb,
            free_mb,
        )
        try:
            lifecycle = Lifecycle(self.settings, artifact, self.cpu, plan, self._cores)
        except ModelLoadError as error:
            raise ModelUnusable(f"url: {error}") from error
        return LoadedModel(name, url, lifecycle, own_mb, memory_model)

    def _free_mb(self) -> float:
        """Return the memory that is left when all loaded models are fully warm."""
        promised_mb = sum(model.memory_mb for model in self._living) + sum(
            engine.libraries_mb for engine in self._engines()
        )
        return min(self._all_mb - promised_mb, cgroup.free_memory_mb())

    def _engines(self) -> set[MemoryModel]:
        """Return the figures of each engine that a loaded model has. Its zygotes share the libraries."""
        return {model.memory for model in self._living}

    def _plan(self, artifact: Artifact, most_mb: float | None) -> Plan:
        """Plan the lanes of a model.

        A model that is alone gets a smaller plan if memory is short. Beside other models it does not, because the
        platform can unload one of them.
        """
        settings = self.settings
        choices = Choices(
            settings.narrow_lanes,
            settings.wide_lane,
            background_lanes=False,
            guard_lane=False,
            rung_step=settings.rung_step or RUNG_STEP,
            max_batch_windows=settings.max_batch_windows or 1,  # a model of many rarely has waiting windows
        )
        return make_plan(self.cpu, choices, model_size(artifact, self.cpu), most_mb)
