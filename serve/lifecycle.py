"""loading -> ready -> draining, or failed: brings the lanes up, and says whether the server is well."""

import logging
import time
from enum import StrEnum

from container.cpu import Cpu
from container.precision import Precision
from container.settings import Settings
from model_loader import ladder
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError, WarmupFailed
from serve.engine import EngineLimits, QAEngine
from serve.errors import InferenceFailed
from serve.features import Featurizer
from serve.lane_plan import plan_lanes
from serve.lane_pool import LanePool
from serve.metrics import Metrics
from serve.self_test import check_probes

log = logging.getLogger(__name__)


class State(StrEnum):
    """Where the server is in its life."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Lifecycle:
    """One model, its lanes and engine, from start to end."""

    def __init__(self, settings: Settings, artifact: Artifact, cpu: Cpu) -> None:
        self.settings = settings
        self.artifact = artifact
        self.cpu = cpu
        self.metrics = Metrics()
        self._created_at = time.perf_counter()
        self.state = State.LOADING
        plan = plan_lanes(cpu, settings.narrow_lanes, settings.wide_lane)
        log.info(
            "cpu %s, %s, %d usable cores, quota %s: lanes %s",
            cpu.model,
            cpu.isa,
            len(cpu.cores),
            cpu.quota or "none",
            ", ".join(f"{lane.name} on {sorted(lane.cores)}" for lane in plan),
        )
        rungs = ladder.rungs(artifact.max_seq_len, settings.rung_step)
        self.pool = LanePool(artifact.models, rungs, plan, self.metrics)
        limits = EngineLimits(
            artifact.max_seq_len, artifact.doc_stride, settings.request_timeout_seconds, settings.max_queue_seconds
        )
        self.engine = QAEngine(Featurizer(artifact.tokenizer_file), self.pool, limits)

    @property
    def is_healthy(self) -> bool:
        """What /ping says: warm, not stopping, a lane alive, a precision left. A full queue is not ill health."""
        return self.state is State.READY and self.pool.has_live_lane and bool(self.pool.precisions)

    async def start(self) -> None:
        """Load, warm and test the model; ends in READY or FAILED, never raises."""
        try:
            await self.pool.start()
            for precision in self.pool.precisions:
                await self._prove(precision)
                # Where a list was asked for, all of it must work before the first answer.
                if self.settings.precisions is None and precision in self.pool.precisions:
                    self._become_ready()
            self._become_ready()
        except ModelLoadError as error:
            log.error("cannot serve this model: %s", error)
            self.state = State.FAILED
            return
        except Exception:
            log.exception("cannot serve this model: an error that nobody foresaw")
            self.state = State.FAILED
            return

    def _become_ready(self) -> None:
        if self.state is State.LOADING:
            self.state = State.READY
            seconds = time.perf_counter() - self._created_at
            log.info("ready: %s, %.1f s after the worker's start", self.artifact.name, seconds)

    async def _prove(self, precision: Precision) -> None:
        """Wait until a precision is warm, and ask it the probes; pass over one that fails, if nobody asked for it."""
        try:
            await self.pool.first_warm(precision)
            if self.artifact.manifest:
                await check_probes(self.pool, self.artifact.manifest, precision)
            self.pool.accept(precision)
        except InferenceFailed as error:
            raise WarmupFailed(f"{precision} cannot run its probes: {error}") from error
        except WarmupFailed as error:
            if self.settings.precisions or self.pool.precisions == (precision,):
                raise
            log.warning("%s is passed over: %s", precision, error)
            self.pool.withdraw(precision)

    def drain(self) -> None:
        """The server was told to stop: no longer healthy, what was accepted is still answered."""
        if self.state in (State.LOADING, State.READY):
            self.state = State.DRAINING

    async def close(self) -> None:
        """End the lanes."""
        await self.pool.close()
