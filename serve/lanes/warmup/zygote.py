"""The zygote that keeps the models warm for the lanes, and is replaced when it has ended."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from container.precision import Precision
from model_loader.errors import ModelLoadError
from model_loader.ladder import Batch, WarmStep
from model_loader.model_file import ModelFile
from model_loader.model_io import ModelInput, RunWindows, WindowLogits
from model_loader.wire import Run
from serve.lanes.cost import CostTable
from serve.lanes.lane import ForkedLane, LaneReplies, OnEnd
from serve.lanes.plan import LaneSpec
from serve.lanes.precisions import Precisions
from serve.lanes.warmup.order import WARMUP_LIMIT_SECONDS
from serve.lanes.zygote_client import Zygote, ZygoteEnded

log = logging.getLogger(__name__)

StartZygote = Callable[[], Awaitable[Zygote]]


class Recheck(NamedTuple):
    """Checks each precision of a new zygote that replaces another one. Both raise ModelLoadError."""

    file: Callable[[Precision], Awaitable[None]]  # before the zygote loads it
    logits: Callable[[Precision, RunWindows], Awaitable[None]]  # afterwards


class WarmZygote:
    """A zygote that is replaced when it has ended. The new zygote loads the precisions that are still offered.

    A call may wait a second or two until the zygote has finished a pass.
    """

    def __init__(
        self,
        start: StartZygote,
        longest_rung: int,
        costs: CostTable,
        precisions: Precisions,
        recheck: Recheck | None,
    ) -> None:
        self._start_zygote = start
        self._recheck = recheck
        # A lane of one core that is forked now inherits these.
        self.warm_rungs: dict[Precision, set[int]] = {}
        self.warm_batches: dict[Precision, set[Batch]] = {}
        self._longest_rung = longest_rung
        self._costs = costs
        self._precisions = precisions
        self._loaded: dict[Precision, ModelFile] = {}
        self._zygote: Zygote | None = None
        self._starting: Zygote | None = None  # it loads its models, and is not used before it has all of them
        self._lock = asyncio.Lock()

    async def load(self, file: ModelFile) -> None:
        """Load a precision and warm its longest rung.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._load(await self._living(), file)
        self._loaded[file.precision] = file

    async def warm(self, step: WarmStep) -> None:
        """Warm one shape.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._warm(await self._living(), step)

    async def fork(self, spec: LaneSpec, replies: LaneReplies, on_end: OnEnd) -> ForkedLane:
        """Fork a lane.

        Raises: ModelLoadError, ZygoteEnded.
        """
        return await (await self._living()).fork(spec, replies, on_end)

    @property
    def process(self) -> Zygote | None:
        """The zygote that runs, if there is one; it may still load its models."""
        return self._zygote or self._starting

    async def revive(self) -> None:
        """Start another zygote if the last one has ended, so that the next lost lane is replaced at once.

        Raises: ModelLoadError, ZygoteEnded.
        """
        if self._loaded:
            await self._living()

    @property
    def is_alive(self) -> bool:
        """Whether a zygote runs that has loaded all that it should have."""
        return self._zygote is not None and self._zygote.is_alive

    async def close(self) -> None:
        """End the zygote."""
        if self.process:
            await self.process.close()

    async def _living(self) -> Zygote:
        async with self._lock:
            if self._zygote and not self._zygote.is_alive:
                lost, self._zygote = self._zygote, None
                await lost.close()
            if self._zygote is None:
                self._zygote = await self._start()
            return self._zygote

    async def _start(self) -> Zygote:
        """Start a zygote in which all precisions are loaded that the last one had.

        Raises: ZygoteEnded, also if a precision cannot be loaded any more: the lanes that still run can serve it.
        """
        self.warm_rungs, self.warm_batches = {}, {}
        self._starting = zygote = await self._start_zygote()
        try:
            for precision, file in self._loaded.items():
                if precision in self._precisions.files:
                    await self._load_again(zygote, file)
        except BaseException as error:
            await zygote.close()  # a zygote that lacks a model must not be used
            if isinstance(error, ModelLoadError) and not isinstance(error, ZygoteEnded):
                raise ZygoteEnded(f"a new zygote cannot take over: {error}") from error
            raise
        finally:
            self._starting = None
        return zygote

    async def _load_again(self, zygote: Zygote, file: ModelFile) -> None:
        if self._recheck:
            await self._recheck.file(file.precision)
        await self._load(zygote, file)
        if self._recheck:
            await self._recheck.logits(file.precision, functools.partial(self._run, zygote))

    async def _run(self, zygote: Zygote, precision: Precision, inputs: Sequence[ModelInput]) -> Sequence[WindowLogits]:
        return (await zygote.run(Run(precision, self._longest_rung, inputs))).logits

    async def _load(self, zygote: Zygote, file: ModelFile) -> None:
        await zygote.load(file)
        await self._warm(zygote, WarmStep(file.precision, self._longest_rung))

    async def _warm(self, zygote: Zygote, step: WarmStep) -> None:
        try:
            async with asyncio.timeout(WARMUP_LIMIT_SECONDS):
                cost_ms = await zygote.warm(step)
        except TimeoutError:
            zygote.kill()
            raise ZygoteEnded(f"a pass of {step.rung} tokens took more than {WARMUP_LIMIT_SECONDS} s") from None
        if step.windows == 1:
            self.warm_rungs.setdefault(step.precision, set()).add(step.rung)
            self._costs.observe(1, step.precision, step.rung, cost_ms)
        else:
            self.warm_batches.setdefault(step.precision, set()).add(Batch(step.rung, step.windows))
        log.debug("warmed %s, %d x %d tokens: %.1f ms", step.precision, step.windows, step.rung, cost_ms)
