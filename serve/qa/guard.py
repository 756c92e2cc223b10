"""The guard watches INT8 in production: it runs a share of the INT8 answers again in FP32, and compares.

Two answers agree if they are the same span, or for a token-relevance model the same sentences.

The guard delays no request: its windows wait until no window of a request waits, and run in a process that the kernel
runs on idle cores only. An answer for which no idle time is found is skipped.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from serve.errors import RequestError
from serve.lanes.fair_queue import Ticket
from serve.metrics import Metrics
from serve.qa.answer_overlap import overlap
from serve.qa.features import Window
from serve.qa.ranking.question_search import Choose, Chosen
from serve.qa.spans import Logits
from serve.qa.window_runner import WindowRunner, logits_of

log = logging.getLogger(__name__)

REMEMBERED = 100  # comparisons that a warning is based on
MAX_WINDOWS = 16  # the guard skips an answer with more windows, which would occupy the guard lane for long
MAX_PENDING = 8  # answers that wait for idle time, with their logits
IDLE_WAIT_SECONDS = 30  # how long one answer waits for idle time once it is the next


class Answered(NamedTuple):
    """An INT8 answer, with all that it was computed from. choose: makes an answer from other logits of the windows."""

    windows: Sequence[Window]
    logits: Sequence[Logits]
    chosen: Chosen
    choose: Choose


@dataclass(frozen=True)
class Comparison:
    """The INT8 answer compared with FP32's.

    f1: of the two answers' words, 0 to 1. logit_rms: the root-mean-square difference over the windows' context tokens.
    """

    agrees: bool
    f1: float
    logit_rms: float


class Guard:
    """Compares a share of the answers. It lives on the event loop."""

    def __init__(self, lanes: WindowRunner, metrics: Metrics, share: float, min_agreement: float) -> None:
        """share: the largest share of INT8 answers to run again, 0 to 1.

        min_agreement: the guard warns when a smaller share of the last comparisons agrees.
        """
        self._lanes = lanes
        self._metrics = metrics
        self._share = share
        self._min_agreement = min_agreement
        self._last: deque[Comparison] = deque(maxlen=REMEMBERED)
        self._pending: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._offered = self._compared = 0
        self._has_warned = False
        for result in ("agree", "differ", "skipped"):  # an increase is seen only if the series was there before
            metrics.guard_answers.labels(result)

    def offer(self, answered: Answered) -> None:
        """Decide at random whether this answer is run again later."""
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
            jobs = self._lanes.submit_idle(ticket, "FP32", answered.windows)
            try:
                async with asyncio.timeout(IDLE_WAIT_SECONDS):
                    reference = await logits_of(jobs)
            except (TimeoutError, RequestError):  # there was no idle time, or FP32 is no longer served
                self._skip()
                return
            finally:
                self._lanes.drop(ticket, jobs)
        self._record(await asyncio.to_thread(compare, answered, reference))

    def _skip(self) -> None:
        self._metrics.guard_answers.labels("skipped").inc()

    def _record(self, found: Comparison) -> None:
        self._compared += 1
        self._metrics.guard_answers.labels("agree" if found.agrees else "differ").inc()
        self._metrics.guard_f1.observe(found.f1)
        self._metrics.guard_logit_rms.observe(found.logit_rms)
        self._metrics.guard_share.set(self._compared / self._offered)
        self._last.append(found)
        if len(self._last) == REMEMBERED:
            self._warn_once()

    def _warn_once(self) -> None:
        """Log one warning each time that the agreement falls below the bound."""
        agreement = sum(one.agrees for one in self._last) / REMEMBERED
        if agreement >= self._min_agreement:
            self._has_warned = False
        elif not self._has_warned:
            self._has_warned = True
            log.warning(
                "INT8 agrees with FP32 in %.0f %% of the last %d answers that were run again; at least %.0f %% are "
                "expected. F1 between the answers is %.2f, and the logits differ by %.2f (root mean square). "
                "Calibrate on questions like these, or serve FP32",
                100 * agreement,
                REMEMBERED,
                100 * self._min_agreement,
                np.mean([one.f1 for one in self._last]),
                np.sqrt(np.mean([one.logit_rms**2 for one in self._last])),
            )


def compare(answered: Answered, reference: Sequence[Logits]) -> Comparison:
    """Compare the INT8 answer with the one that FP32's logits for the same windows give."""
    ours, theirs = answered.chosen, answered.choose(reference)
    squares = [
        np.square(a - b)[window.context_offset : window.context_offset + window.context_tokens]
        for window, pair, other in zip(answered.windows, answered.logits, reference, strict=True)
        for a, b in zip(pair, other, strict=True)
    ]
    rms = float(np.sqrt(np.concatenate(squares).mean())) if any(part.size for part in squares) else 0.0
    return Comparison(ours.places == theirs.places, overlap(ours.text, theirs.text), rms)
