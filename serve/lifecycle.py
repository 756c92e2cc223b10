"""The life of one model: start it, say whether it can answer, drain it and end it."""

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
from model_loader.model_file import ModelFile
from serve.lanes.admission import Admission, AdmissionLimits
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.plan import Choices, LaneKind, Plan, make_plan
from serve.lanes.pool import LanePool
from serve.lanes.supervisor import LaneSupervisor
from serve.metrics import Metrics
from serve.qa.engine import ModelLimits, QAEngine
from serve.qa.features import Featurizer
from serve.qa.golden_check import check_golden_examples
from serve.qa.guard import Guard

log = logging.getLogger(__name__)


class State(StrEnum):
    """The state of the server."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Servable(Protocol):
    """What the HTTP app and the worker may ask of one model (Lifecycle) or of many (ModelRegistry)."""

    state: State
    settings: Settings

    def ping(self) -> bool:
        """Whether /ping answers 200."""

    async def start(self) -> None:
        """Begin to serve. Ends in READY or FAILED, and never raises."""

    def drain(self) -> None:
        """Note that the server was told to stop. Accepted requests are still answered."""

    async def close(self) -> None:
        """End all processes."""


class Lifecycle:
    """One model with its lanes and its engine, from start to end."""

    def __init__(
        self,
        settings: Settings,
        artifact: Artifact,
        cpu: Cpu,
        plan: Plan | None = None,
        cores: CoreArbiter | None = None,
    ) -> None:
        """Prepare everything but the processes.

        plan and cores: for a model that shares this machine with others. None: the model has the machine to itself.
        """
        self.settings = settings
        self.artifact = artifact
        self.cpu = cpu
        self.metrics = Metrics()
        self.state = State.LOADING
        self.passed_over = dict(artifact.passed_over)  # precision: why it is not served
        self.decided = asyncio.Event()  # set when loading has ended, successfully or not
        self.failure: Exception | None = None
        self._created_at = time.perf_counter()
        self._last_ping: bool | None = None
        plan = plan or _plan(settings, artifact, cpu)
        rungs = ladder.rungs(artifact.max_seq_len, plan.rung_step)
        self.pool = LanePool(artifact.models, rungs, plan, cores or CoreArbiter(), self.metrics)
        self.supervisor = LaneSupervisor(self.pool, self.metrics)
        limits = AdmissionLimits(
            settings.engine_timeout_seconds, settings.max_queue_seconds, can_streams_wait=settings.batch
        )
        self.engine = QAEngine(
            Featurizer(artifact.tokenizer_file),
            self.pool,
            Admission(self.pool, limits),
            ModelLimits(artifact.max_seq_len, artifact.doc_stride),
            self._guard(plan),
        )

    def _guard(self, plan: Plan) -> Guard | None:
        if not any(lane.kind is LaneKind.GUARD for lane in plan.lanes):
            return None
        return Guard(self.pool, self.metrics, self.settings.guard_share, self.settings.guard_min_agreement)

    # Start

    async def start(self) -> None:
        """Load, warm and check the model; ends in READY or FAILED, never raises."""
        try:
            self.pool.open()
            for file in self.artifact.models:
                await self._bring_up(file)
                # With PRECISIONS=auto the first precision answers while the others come up. With a list, all of it
                # must work before the first answer.
                if self.settings.precisions is None and self.pool.precisions.accepted:
                    self._become_ready()
            self._become_ready()
            self.supervisor.complete()
        except ModelLoadError as error:
            log.error("the server cannot serve this model: %s", error)
            self._fail(error)
        except Exception as error:
            log.exception("the server cannot serve this model because of an unexpected error")
            self._fail(error)

    async def _bring_up(self, file: ModelFile) -> None:
        """Bring one precision up. If it fails, go on without it.

        Raises: ModelLoadError if the failed precision was asked for in PRECISIONS, or is the last one.
        """
        precision = file.precision
        try:
            await self.supervisor.bring_up(file, self._check)
        except ModelLoadError as error:
            is_optional = isinstance(error, WarmupFailed) or self.state is State.READY
            if not is_optional or self.settings.precisions or list(self.pool.precisions.files) == [precision]:
                raise
            log.warning("%s is not served: %s", precision, error)
            self.passed_over[precision] = str(error)
            if precision in self.pool.precisions.files:
                self.pool.withdraw(precision)

    async def _check(self, precision: Precision) -> None:
        if self.artifact.manifest:
            await check_golden_examples(self.pool, self.artifact.manifest, precision)

    # Ready

    def _become_ready(self) -> None:
        if self.state is State.LOADING:
            self.state = State.READY
            self.decided.set()
            seconds = time.perf_counter() - self._created_at
            log.info("ready: %s, %.1f s after the worker's start", self.artifact.name, seconds)

    @property
    def is_healthy(self) -> bool:
        """Whether the model is warm, is not stopping, and has a lane and a precision. A full queue is healthy."""
        return self.state is State.READY and self.supervisor.has_live_lane and bool(self.pool.precisions.files)

    def ping(self) -> bool:
        """Return is_healthy. Log a line if the result differs from the previous one."""
        is_healthy = self.is_healthy
        if is_healthy != self._last_ping:
            self._last_ping = is_healthy
            served = ", ".join(self.pool.precisions.accepted) or "nothing"
            missing = "".join(f"; {precision} is not served: {why}" for precision, why in self.passed_over.items())
            log.info("/ping answers %d from now on (%s): %s%s", 200 if is_healthy else 503, self.state, served, missing)
        return is_healthy

    # Drain

    def drain(self) -> None:
        """Note that the server was told to stop: it is no longer healthy, and accepted requests are still answered."""
        if self.state in (State.LOADING, State.READY):
            self.state = State.DRAINING
            self.decided.set()

    async def close(self) -> None:
        """End the lanes and the threads."""
        await self.supervisor.close()
        self.engine.close()

    # Failed

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.state = State.FAILED
        self.decided.set()


def _plan(settings: Settings, artifact: Artifact, cpu: Cpu) -> Plan:
    """Plan the lanes for this machine, and log one line that says what was found and chosen."""
    has_guard = settings.guard_share > 0 and {"INT8", "FP32"} <= set(artifact.file_mb)
    choices = Choices(
        settings.narrow_lanes, settings.wide_lane, settings.background_lanes, has_guard, settings.rung_step
    )
    memory_mb = cgroup.available_memory_mb()
    plan = make_plan(cpu, choices, artifact.file_mb, artifact.max_seq_len, memory_mb)
    log.info(
        "CPU %s, %s, %d usable cores on %d NUMA node(s), quota %s, %.0f MB of memory. Lanes: %s. "
        "Rungs: every %d tokens. Expected memory: %d MB",
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
            "the smallest plan needs about %d MB, and %.0f MB are available: the system may kill the server. "
            "Give it more memory, or serve one precision (PRECISIONS=INT8)",
            plan.memory_mb,
            memory_mb,
        )
    return plan
