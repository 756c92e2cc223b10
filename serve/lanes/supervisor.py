"""The zygote, kept alive: it brings precisions up, warms rungs, and bears lanes that begin with what it has warm."""

import asyncio
import logging

from container.precision import Precision
from model_loader import wire
from model_loader.model_file import ModelFile
from serve.lanes.cost import CostTable
from serve.lanes.lane import Birth
from serve.lanes.plan import LaneKind, LaneSpec
from serve.lanes.warmup import WarmStep
from serve.lanes.zygote_client import OnEnd, OnReply, Zygote, ZygoteEnded

log = logging.getLogger(__name__)

WARMUP_LIMIT_SECONDS = 120
# Beside the zygote's own: background lanes get what the others leave, and a twelfth of a core where those leave nothing
# (the kernel's weights: 820 to 70). A guard lane gets what nobody wants.
NICENESS = {LaneKind.NARROW: 0, LaneKind.WIDE: 0, LaneKind.BACKGROUND: 11, LaneKind.GUARD: wire.IDLE_CLASS}


class Nursery:
    """Lives on the event loop; its calls may wait for a pass of the zygote to end, a second or two."""

    def __init__(self, longest_rung: int, prices: CostTable) -> None:
        self.warm: dict[Precision, set[int]] = {}  # in the zygote, and so in a lane that is born now
        self._longest_rung = longest_rung
        self._prices = prices
        self._brought: dict[Precision, ModelFile] = {}
        self._zygote: Zygote | None = None
        self._lock = asyncio.Lock()

    async def bring(self, file: ModelFile) -> None:
        """Load a precision and warm its longest rung.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._bring(await self._living(), file)
        self._brought[file.precision] = file

    def forget(self, precision: Precision) -> None:
        """Do not load this precision into a new zygote."""
        self._brought.pop(precision, None)

    async def warm_rung(self, step: WarmStep) -> None:
        """Warm one rung.

        Raises: ModelLoadError, ZygoteEnded.
        """
        await self._warm(await self._living(), step)

    async def bear(self, spec: LaneSpec, on_reply: OnReply, on_end: OnEnd) -> Birth:
        """Fork a lane.

        Raises: ModelLoadError, ZygoteEnded.
        """
        zygote = await self._living()
        return Birth(*await zygote.fork(spec.cores, NICENESS[spec.kind], on_reply, on_end))

    async def kill_lane(self, pid: int) -> None:
        """See that a lane is gone; nothing happens where it has ended already."""
        if self._zygote and self._zygote.is_alive:
            await self._zygote.kill_lane(pid)

    async def close(self) -> None:
        """End the zygote."""
        if self._zygote:
            await self._zygote.close()

    async def _living(self) -> Zygote:
        async with self._lock:
            if self._zygote is None or not self._zygote.is_alive:
                self.warm = {}
                self._zygote = await Zygote.start()
                for file in self._brought.values():
                    await self._bring(self._zygote, file)
            return self._zygote

    async def _bring(self, zygote: Zygote, file: ModelFile) -> None:
        await zygote.load(file)
        await self._warm(zygote, WarmStep(file.precision, self._longest_rung))

    async def _warm(self, zygote: Zygote, step: WarmStep) -> None:
        try:
            async with asyncio.timeout(WARMUP_LIMIT_SECONDS):
                cost_ms = await zygote.warm(step.precision, step.rung)
        except TimeoutError:
            zygote.kill()
            raise ZygoteEnded(f"a pass of {step.rung} tokens took more than {WARMUP_LIMIT_SECONDS} s") from None
        self.warm.setdefault(step.precision, set()).add(step.rung)
        self._prices.observe(1, step.precision, step.rung, cost_ms)
        log.debug("warmed %s at %d tokens: %.1f ms", step.precision, step.rung, cost_ms)
