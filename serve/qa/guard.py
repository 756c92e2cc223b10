"""Watches INT8 in production: runs a share of its answers again in FP32, where a core is idle, and compares.

Nothing of it delays a request: the windows wait until no other does, and run in a process that the kernel runs only
where nothing else would. What finds no idle time is skipped.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serve.errors import RequestError
from serve.lanes.fair_queue import Ticket
from serve.lanes.pool import LanePool
from serve.metrics import Metrics
from serve.qa import spans
from serve.qa.answer_overlap import overlap
from serve.qa.features import Document, Window
from serve.qa.spans import Logits, SpanRules
from serve.qa.types import Answer

log = logging.getLogger(__name__)

REMEMBERED = 100  # comparisons that a warning is about
MAX_WINDOWS = 16  # of an answer; a longer document would keep the lane for long
MAX_PENDING = 8  # answers that wait for idle time, with their logits
PATIENCE_SECONDS = 30  # that one waits, once its turn has come


@dataclass(frozen=True)
class Answered:
    """An answer of INT8, and all that it came from."""

    context: str
    document: Document
    windows: Sequence[Window]
    rules: SpanRules
    logits: Sequence[Logits]
    answer: Answer


@dataclass(frozen=True)
class Comparison:
    """INT8's answer against FP32's. f1: of their words, 0 to 1; logit_rms: over the windows' context tokens."""

    agrees: bool
    f1: float
    logit_rms: float


class Guard:
    """Lives on the event loop."""

    def __init__(self, pool: LanePool, metrics: Metrics, share: float, min_agreement: float) -> None:
        """share: of INT8 answers, at most, 0 to 1. min_agreement: of the last comparisons; fewer are warned of."""
        self._pool = pool
        self._metrics = metrics
        self._share = share
        self._min_agreement = min_agreement
        self._last: deque[Comparison] = deque(maxlen=REMEMBERED)
        self._pending: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._offered = self._compared = 0
        self._has_warned = False

    def offer(self, answered: Answered) -> None:
        """Perhaps run this answer again, later."""
        self._offered += 1
        if random.random() >= self._share:
            return
        if len(self._pending) >= MAX_PENDING or len(answered.windows) > MAX_WINDOWS:
            self._skip()
            return
        task = asyncio.create_task(self._check(answered))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _check(self, answered: Answered) -> None:
        ticket = Ticket()
        async with self._one_at_a_time:
            jobs = self._pool.submit_idle(ticket, "FP32", answered.windows)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    results = await asyncio.gather(*(job.result for job in jobs))
            except (TimeoutError, RequestError):  # no idle time, or FP32 is served no more
                self._skip()
                return
            finally:
                self._pool.drop(ticket, jobs)
        reference = [(result.start, result.end) for result in results]
        self._note(await asyncio.to_thread(compare, answered, reference))

    def _skip(self) -> None:
        self._metrics.guard_answers.labels("skipped").inc()

    def _note(self, found: Comparison) -> None:
        self._compared += 1
        self._metrics.guard_answers.labels("agree" if found.agrees else "differ").inc()
        self._metrics.guard_f1.observe(found.f1)
        self._metrics.guard_logit_rms.observe(found.logit_rms)
        self._metrics.guard_share.set(self._compared / self._offered)
        self._last.append(found)
        if len(self._last) == REMEMBERED:
            self._warn_once()

    def _warn_once(self) -> None:
        """One warning for each time that agreement falls below the bound."""
        agreement = sum(one.agrees for one in self._last) / REMEMBERED
        if agreement >= self._min_agreement:
            self._has_warned = False
        elif not self._has_warned:
            self._has_warned = True
            log.warning(
                "INT8 agrees with FP32 in %.0f %% of the last %d answers that were run again (F1 between them %.2f, "
                "logits differ by %.2f, root mean square); expected are %.0f %% at least. Calibrate on questions "
                "like these, or serve FP32",
                100 * agreement,
                REMEMBERED,
                np.mean([one.f1 for one in self._last]),
                np.sqrt(np.mean([one.logit_rms**2 for one in self._last])),
                100 * self._min_agreement,
            )


def compare(answered: Answered, reference: Sequence[Logits]) -> Comparison:
    """INT8's answer with FP32's from its logits for the same windows."""
    theirs = spans.rank(answered.context, answered.document, answered.windows, reference, answered.rules)[0]
    ours = answered.answer
    squares = [
        np.square(a - b)[window.context_offset : window.context_offset + window.context_tokens]
        for window, pair, other in zip(answered.windows, answered.logits, reference, strict=True)
        for a, b in zip(pair, other, strict=True)
    ]
    rms = float(np.sqrt(np.concatenate(squares).mean())) if any(part.size for part in squares) else 0.0
    return Comparison((ours.start, ours.end) == (theirs.start, theirs.end), overlap(ours.answer, theirs.answer), rms)
