"""The life of one model: start it, say whether it can answer, drain it and end it."""

import asyncio
import logging
import time
from functools import partial

from container import cgroup, contract
from container.cpu import Cpu
from container.precision import Precision
from container.settings import Settings
from model_loader import ladder
from model_loader.artifact import Artifact
from model_loader.errors import ModelLoadError, WarmupFailed
from model_loader.model_file import ModelFile
from serve.batched_calls import BatchedCalls
from serve.lanes.admission import Admission, AdmissionLimits
from serve.lanes.core_arbiter import CoreArbiter
from serve.lanes.plan import LaneKind, Plan
from serve.lanes.pool import LanePool
from serve.lanes.supervisor import NO_LANE_SECONDS, LaneSupervisor
from serve.lanes.warmup.ladder import MAX_ZYGOTES_LOST
from serve.lanes.warmup.zygote import Recheck
from serve.lanes.zygote_client import ZygoteEnded
from serve.machine_plan import plan_for_machine
from serve.metrics import Metrics
from serve.processes.absence import Absence
from serve.processes.usage import ProcessUsage
from serve.qa.engine import QAEngine, QuestionAnswerer
from serve.qa.golden_check import check_file, check_golden_examples, check_logits
from serve.qa.guard import Guard
from serve.qa.highlight.task import TaskDefaults
from serve.qa.model_limits import ModelLimits
from serve.qa.tokenizer_check import open_featurizer
from serve.servable import State
from serve.text_process.client import TextProcesses
from serve.text_process.template import TextConfig
from serve.tracing.tracer import open_tracer

log = logging.getLogger(__name__)


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

        Raises: ArtifactInvalid if the tokenizer does not fit the model.
        """
        self.settings = settings
        self.artifact = artifact
        self.cpu = cpu
        self.metrics = Metrics()
        self.afterwards = BatchedCalls()
        self.usage = ProcessUsage()
        self.tracer = open_tracer(settings.otlp_endpoint, settings.trace_share, settings.service_name)
        self.state = State.LOADING
        self.decided = asyncio.Event()  # set when loading has ended, successfully or not
        self.failure: Exception | None = None
        self._created_at = time.perf_counter()
        self._last_ping: bool | None = None
        self.is_alone = cores is None
        plan = plan or plan_for_machine(settings, artifact, cpu)
        rungs = ladder.rungs(artifact.max_seq_len, plan.rung_step)
        self.pool = LanePool(artifact.models, rungs, plan, cores or CoreArbiter(), self.metrics)
        self.supervisor = LaneSupervisor(
            self.pool,
            self.metrics,
            recheck=self._recheck(),
            no_lane=Absence(NO_LANE_SECONDS, self._end_without_lanes),
        )
        limits = AdmissionLimits(
            settings.engine_timeout_seconds,
            settings.queue_limit_seconds,
            can_streams_wait=settings.can_streams_wait,
        )
        self.limits = ModelLimits.of(artifact, settings.no_answer_threshold)
        self.tasks = TaskDefaults.of(settings, artifact.task)
        guard = self._guard(plan)
        answerer = QuestionAnswerer(open_featurizer(artifact), self.limits, guard.offer if guard else None)
        self.engine = QAEngine(answerer, self.pool, Admission(self.pool, limits))
        self.text_processes = TextProcesses(
            self.engine,
            TextConfig(
                str(artifact.tokenizer_file.resolve()),
                self.limits,
                settings.max_items,
                settings.max_characters,
                self.tasks,
            ),
            cgroup.available_memory_mb(),
            self.usage,
        )

    def _guard(self, plan: Plan) -> Guard | None:
        if not any(lane.kind is LaneKind.GUARD for lane in plan.lanes):
            return None
        return Guard(self.pool, self.metrics, self.settings.guard_share, self.settings.guard_min_agreement)

    # Start

    async def start(self) -> None:
        """Load, warm and check the model; ends in READY or FAILED, never raises."""
        try:
            if not self.settings.multi_model:  # where most models may never get a large body
                self.text_processes.open()
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
        # If the zygote of a further model is killed, memory ran out, and the platform must first unload another model.
        attempts = MAX_ZYGOTES_LOST if self.is_alone or self.pool.precisions.accepted else 1
        try:
            await self.supervisor.bring_up(file, self._check, attempts)
        except ModelLoadError as error:
            is_optional = isinstance(error, WarmupFailed) or self.state is State.READY
            if not is_optional or self.settings.precisions or list(self.pool.precisions.files) == [precision]:
                raise
            log.warning("%s is not served: %s", precision, error)
            if precision in self.pool.precisions.files:
                self.pool.withdraw(precision, str(error))

    @property
    def passed_over(self) -> dict[Precision, str]:
        """Why each precision that the artifact has, and that is not served, is not."""
        return {**self.artifact.passed_over, **self.pool.precisions.withdrawn}

    async def _check(self, precision: Precision) -> None:
        if self.artifact.manifest:
            await check_golden_examples(self.pool, self.artifact.manifest, precision)

    def _recheck(self) -> Recheck | None:
        manifest, directory = self.artifact.manifest, self.artifact.directory
        if manifest is None:
            return None
        return Recheck(partial(check_file, directory, manifest), partial(check_logits, manifest))

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
            served = ", ".join(self.pool.precisions.accepted) or "no precision answers requests"
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
        """End the lanes and the text processes, and write the last log lines."""
        await self.supervisor.close()
        self.text_processes.close()
        self.afterwards.flush()

    # Failed

    @property
    def has_lost_processes(self) -> bool:
        """Whether the server failed because processes were lost, and not because of the model: a restart may help."""
        return isinstance(self.failure, ZygoteEnded)

    def _end_without_lanes(self) -> None:
        if self.state in (State.LOADING, State.READY):
            self._fail(ZygoteEnded(f"no lane could be started for {NO_LANE_SECONDS} s"))
            log.error(
                "%s. A server with one model ends now with exit code %d, so that it can be started again. On a "
                "multi-model endpoint, unload this model and load it again",
                *(self.failure, contract.EXIT_NO_LANES),
            )

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.state = State.FAILED
        self.decided.set()
