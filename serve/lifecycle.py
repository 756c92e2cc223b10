"""loading -> ready -> draining, or failed: brings the lanes up, and says whether the server is well."""

import asyncio
import logging
import time
from enum import StrEnum
from typing import Protocol

from container import cgroup
from container.cpu import Cpu
from container.precision import Precision
from container.settings import Settings
from model_loader import ladder
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError, WarmupFailed
from serve.errors import InferenceFailed
from serve.lanes.plan import Choices, LaneKind, Plan, make_plan
from serve.lanes.pool import LanePool
from serve.metrics import Metrics
from serve.qa.engine import EngineLimits, QAEngine
from serve.qa.features import Featurizer
from serve.qa.golden_check import check_golden_examples
from serve.qa.guard import Guard

log = logging.getLogger(__name__)


class State(StrEnum):
    """Where the server is in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Servable(Protocol):
    """What the HTTP process serves: one model, or many models."""

    state: State
    settings: Settings

    @property
    def is_healthy(self) -> bool:
        """Whether requests can be answered now."""

    def ping(self) -> bool:
        """Return is_healthy, and log each change of it."""

    async def start(self) -> None:
        """Load and warm; returns when it has started or failed, and at once for many models."""

    def drain(self) -> None:
        """Accept no new work; what was accepted is still answered."""

    async def close(self) -> None:
        """End all processes."""


class Lifecycle:
    """One model, its lanes and engine, from start to end."""

    def __init__(self, settings: Settings, artifact: Artifact, cpu: Cpu, plan: Plan | None = None) -> None:
        """plan: for a model that shares this machine with others; made here for one that has it to itself."""
        self.settings = settings
        self.artifact = artifact
        self.cpu = cpu
        self.metrics = Metrics()
        self._created_at = time.perf_counter()
        self.state = State.LOADING
        self.passed_over = dict(artifact.passed_over)  # precision: why it is not served
        self._last_ping: bool | None = None
        self.decided = asyncio.Event()  # loading is over, one way or the other
        self.failure: Exception | None = None
        plan = plan or _plan(settings, artifact, cpu)
        rungs = ladder.rungs(artifact.max_seq_len, plan.rung_step)
        self.pool = LanePool(artifact.models, rungs, plan, self.metrics)
        limits = EngineLimits(
            artifact.max_seq_len, artifact.doc_stride, settings.engine_timeout_seconds, settings.max_queue_seconds
        )
        guard = (
            Guard(self.pool, self.metrics, settings.guard_share, settings.guard_min_agreement)
            if any(lane.kind is LaneKind.GUARD for lane in plan.lanes)
            else None
        )
        self.engine = QAEngine(Featurizer(artifact.tokenizer_file), self.pool, limits, guard)

    @property
    def is_healthy(self) -> bool:
        """What /ping says: warm, not stopping, a lane alive, a precision left. A full queue is not ill health."""
        return self.state is State.READY and self.pool.has_live_lane and bool(self.pool.precisions.files)

    def ping(self) -> bool:
        """is_healthy, and a log line whenever that is another than at the ping before."""
        is_healthy = self.is_healthy
        if is_healthy != self._last_ping:
            self._last_ping = is_healthy
            served = ", ".join(self.pool.precisions.files) or "nothing"
            missing = "".join(f"; {precision} is passed over: {why}" for precision, why in self.passed_over.items())
            log.info("/ping answers %d from now on (%s): %s%s", 200 if is_healthy else 503, self.state, served, missing)
        return is_healthy

    async def start(self) -> None:
        """Load, warm and test the model; ends in READY or FAILED, never raises."""
        try:
            self.pool.start()
            for precision in list(self.pool.precisions.files):
                await self._prove(precision)
                # Where a list was asked for, all of it must work before the first answer.
                if self.settings.precisions is None and precision in self.pool.precisions.files:
                    self._become_ready()
            self._become_ready()
        except ModelLoadError as error:
            log.error("cannot serve this model: %s", error)
            self._fail(error)
        except Exception as error:
            log.exception("cannot serve this model: an error that nobody foresaw")
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.state = State.FAILED
        self.decided.set()

    def _become_ready(self) -> None:
        if self.state is State.LOADING:
            self.state = State.READY
            self.decided.set()
            seconds = time.perf_counter() - self._created_at
            log.info("ready: %s, %.1f s after the worker's start", self.artifact.name, seconds)

    async def _prove(self, precision: Precision) -> None:
        """Wait until a precision is warm and check its golden examples; pass over a failing one unless asked for."""
        try:
            await self.pool.precisions.until_warm(precision)
            if self.artifact.manifest:
                await check_golden_examples(self.pool, self.artifact.manifest, precision)
            self.pool.precisions.accept(precision)
        except InferenceFailed as error:
            raise WarmupFailed(f"{precision} cannot run its golden examples: {error}") from error
        except ModelLoadError as error:
            may_pass_over = isinstance(error, WarmupFailed) or self.state is State.READY
            if not may_pass_over or self.settings.precisions or list(self.pool.precisions.files) == [precision]:
                raise
            log.warning("%s is passed over: %s", precision, error)
            self.passed_over[precision] = str(error)
            self.pool.withdraw(precision)

    def drain(self) -> None:
        """The server was told to stop: no longer healthy, what was accepted is still answered."""
        if self.state in (State.LOADING, State.READY):
            self.state = State.DRAINING
            self.decided.set()

    async def close(self) -> None:
        """End the lanes."""
        await self.pool.close()
        self.engine.close()


def _plan(settings: Settings, artifact: Artifact, cpu: Cpu) -> Plan:
    """The lanes for this box, and one line that says what was found and chosen."""
    has_guard = settings.guard_share > 0 and {"INT8", "FP32"} <= set(artifact.file_mb)
    choices = Choices(
        settings.narrow_lanes, settings.wide_lane, settings.background_lanes, has_guard, settings.rung_step
    )
    memory_mb = cgroup.available_memory_mb()
    plan = make_plan(cpu, choices, artifact.file_mb, artifact.max_seq_len, memory_mb)
    log.info(
        "cpu %s, %s, %d usable cores on %d NUMA node(s), quota %s, %.0f MB memory: lanes %s; rungs of %d tokens; "
        "%d MB expected",
        cpu.model,
        cpu.isa,
        len(cpu.cores),
        len(cpu.nodes),
        cpu.quota or "none",
        memory_mb,
        ", ".join(f"{lane.name} on {sorted(lane.cores)}" for lane in plan.lanes),
        plan.rung_step,
        plan.memory_mb,
    )
    if plan.memory_mb > memory_mb:
        log.warning(
            "the smallest plan expects %d MB, %.0f MB are there: the system may kill the server. "
            "Give it more memory, or serve one precision (PRECISIONS=INT8)",
            plan.memory_mb,
            memory_mb,
        )
    return plan
