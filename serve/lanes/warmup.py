"""Warm-up: in which order the rungs are warmed, and the zygote that keeps them warm for the lanes."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set

from container.precision import Precision
from model_loader import ladder
from model_loader.ladder import WarmStep
from model_loader.model_file import ModelFile
from serve.lanes.cost import CostTable
from serve.lanes.lane import ForkedLane, LaneReplies, OnEnd
from serve.lanes.plan import LaneSpec
from serve.lanes.precisions import Precisions
from serve.lanes.zygote_client import Zygote, ZygoteEnded

log = logging.getLogger(__name__)

WARMUP_LIMIT_SECONDS = 120

WarmRungs = Mapping[Precision, Set[int]]  # the rungs that are warm in one process


class WarmupOrder:
    """The order in which rungs are warmed.

    The longest rung comes first, because it holds every window. Then comes the rung that windows most often missed
    because it was not warm. Coarse rungs come before fine ones.
    """

    def __init__(self, rungs: tuple[int, ...]) -> None:
        self._order = ladder.warm_order(rungs)
        self._wanted: Counter[WarmStep] = Counter()

    def want(self, step: WarmStep) -> None:
        """Record that a window was padded to a longer rung because this one was not warm."""
        self._wanted[step] += 1

    def next(self, warm: WarmRungs, precisions: Iterable[Precision]) -> WarmStep | None:
        """Return the next step that is missing in `warm`; None when all rungs of these precisions are warm."""
        missing = (
            WarmStep(precision, rung)
            for rung in self._order
            for precision in precisions
            if rung not in warm.get(precision, ())
        )
        longest = self._order[0]
        return max(missing, key=lambda step: (step.rung == longest, self._wanted[step]), default=None)


def count_rungs(warm: WarmRungs, precisions: Iterable[Precision]) -> int:
    """Return the number of warm rungs over these precisions."""
    return sum(len(warm.get(precision, ())) for precision in precisions)


StartZygote = Callable[[], Awaitable[Zygote]]


class WarmZygote:
    """A zygote that is replaced when it has ended. The new zygote loads the precisions that are still offered.

    A call may wait a second or two until the zygote has finished a pass.
    """

    def __init__(self, start: StartZygote, longest_rung: int, costs: CostTable, precisions: Precisions) -> None:
        self._start_zygote = start
        self.warm_rungs: dict[Precision, set[int]] = {}  # a lane of one core that is forked now inherits these
        self._longest_rung = longest_rung
        self._costs = costs
        self._precisions = precisions
        self._loaded: dict[Precision, ModelFile] = {}
        self._zygote: Zygote | None = None
        self._lock = asyncio.Lock()

    async def load(self, file: ModelFile) -> None:
        """Load a precision and warm its longest rung.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._load(await self._living(), file)
        self._loaded[file.precision] = file

    async def warm(self, step: WarmStep) -> None:
        """Warm one rung.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._warm(await self._living(), step)

    async def fork(self, spec: LaneSpec, replies: LaneReplies, on_end: OnEnd) -> ForkedLane:
        """Fork a lane.

        Raises: ModelLoadError, ZygoteEnded.
        """
        return await (await self._living()).fork(spec, replies, on_end)

    async def kill_lane(self, pid: int) -> None:
        """Kill a lane that was closed, in case it hangs. Nothing happens if it has ended already."""
        if self._zygote and self._zygote.is_alive:
            with contextlib.suppress(OSError):  # the zygote may be ending
                await self._zygote.kill_lane(pid)

    async def close(self) -> None:
        """End the zygote."""
        if self._zygote:
            await self._zygote.close()

    async def _living(self) -> Zygote:
        async with self._lock:
            if self._zygote and not self._zygote.is_alive:
                await self._zygote.close()
                self._zygote = None
            if self._zygote is None:
                self._zygote = await self._start()
            return self._zygote

    async def _start(self) -> Zygote:
        self.warm_rungs = {}
        zygote = await self._start_zygote()
        try:
            for precision, file in self._loaded.items():
                if precision in self._precisions.files:
                    await self._load(zygote, file)
        except BaseException:
            await zygote.close()  # a zygote that lacks a model must not be used
            raise
        return zygote

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
        self.warm_rungs.setdefault(step.precision, set()).add(step.rung)
        self._costs.observe(1, step.precision, step.rung, cost_ms)
        log.debug("warmed %s at %d tokens: %.1f ms", step.precision, step.rung, cost_ms)
