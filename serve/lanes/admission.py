"""Admission: the only place that refuses work because it would wait too long or run too long.

A request gets one permit before its text is parsed. When its windows have been counted, `approve` accepts or refuses
them. The limits on sizes and the validation of requests are in serve/api.
"""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Protocol

from serve.errors import DocumentTooLong, Overloaded
from serve.lanes.core_arbiter import CoreArbiter, CoreUser
from serve.lanes.cost import BACKGROUND_SHARE, BusyShare
from serve.lanes.fair_queue import FOREGROUND_WINDOWS, Ticket

WINDOWS_PER_SECOND_GUESS = 1000  # no machine runs more; it bounds the tokenizing of a document that is far too long


@dataclass(frozen=True)
class AdmissionLimits:
    """The limits of admission.

    timeout_seconds: the longest time from a request's permit to its answer. max_queue_seconds: the longest wait in the
    queue. can_streams_wait: JSON Lines are accepted however long the queue is, because a batch has the time to wait.
    """

    timeout_seconds: float
    max_queue_seconds: float
    can_streams_wait: bool = False


@dataclass(eq=False)
class Permit:
    """Permission for one request to use the lanes. deadline: in the event loop's time, seconds.

    is_stream: the request has many lines and was admitted as a whole; no line is refused because of the queue.
    """

    deadline: float
    is_stream: bool = False
    ticket: Ticket = field(default_factory=Ticket)


class Workload(CoreUser, Protocol):
    """What admission reads from the pool.

    parallel: the number of windows that run at once. busy: the share of core time that foreground windows use.
    """

    parallel: int
    has_background: bool
    busy: BusyShare
    cores: CoreArbiter


class Admission:
    """Decides whether a request may use the lanes."""

    def __init__(self, pool: Workload, limits: AdmissionLimits) -> None:
        self._pool = pool
        self.limits = limits

    def issue_permit(self, *, is_stream: bool = False) -> Permit:
        """Return the permit of a new request, whose work is not known yet.

        Raises: Overloaded if the queue is too long already.
        """
        if not (is_stream and self.limits.can_streams_wait):
            self._check_wait(windows=1, alone_ms=0.0)
        return Permit(asyncio.get_running_loop().time() + self.limits.timeout_seconds, is_stream)

    def approve(self, permit: Permit, windows: int, cost_ms: float) -> None:
        """Accept or refuse the windows of a request. cost_ms: of all of them, in lane-milliseconds.

        Raises: DocumentTooLong if even an idle server could not finish in time; Overloaded if this server cannot,
        because other work is waiting.
        """
        if permit.is_stream:
            return
        windows = max(1, windows)
        alone_ms = cost_ms / max(1, min(self._pool.parallel, windows))
        timeout_ms = self.limits.timeout_seconds * 1000
        if alone_ms > timeout_ms:
            raise DocumentTooLong(
                f"the request has {windows} windows of text, which need about {alone_ms / 1000:.0f} s even on an idle "
                f"server, and the limit is {self.limits.timeout_seconds:g} s. Send at most about "
                f"{int(windows * timeout_ms / alone_ms)} windows of text in one request"
            )
        self._check_wait(windows, alone_ms)

    def max_tokens(self, permit: Permit, max_seq_len: int, window_ms: float) -> int:
        """Return a number of tokens that `approve` refuses, even if no two windows overlap.

        window_ms: the cost of a window of max_seq_len tokens, in lane-milliseconds.
        """
        windows = self.limits.timeout_seconds * WINDOWS_PER_SECOND_GUESS
        if not permit.is_stream and window_ms > 0:
            windows = min(windows, 1 + self.limits.timeout_seconds * 1000 * self._pool.parallel / window_ms)
        return int(windows * max_seq_len)

    def queueing_delay_ms(self, windows: int) -> float:
        """Estimated queueing delay, in milliseconds, for a request of `windows` windows."""
        own_ms = self._pool.work_ahead_ms(windows)
        others_ms = self._pool.cores.work_of_others_ms(self._pool, windows, own_ms)
        return (own_ms + others_ms) / self._pool.parallel

    def _check_wait(self, windows: int, alone_ms: float) -> None:
        wait_ms = self.queueing_delay_ms(windows)
        total_ms = wait_ms + alone_ms * self._slowdown(windows)
        too_long_ms = wait_ms - self.limits.max_queue_seconds * 1000
        too_late_ms = total_ms - self.limits.timeout_seconds * 1000
        if (too_much_ms := max(too_long_ms, too_late_ms)) > 0:
            raise Overloaded(
                f"this request would wait about {wait_ms / 1000:.1f} s in the queue and take {total_ms / 1000:.1f} s "
                "in all. Send it again after the seconds in Retry-After",
                retry_after_seconds=math.ceil(too_much_ms / 1000),
                reason="queue" if too_long_ms > 0 else "deadline",
            )

    def _slowdown(self, windows: int) -> float:
        """Return the factor by which work in the foreground slows a request of `windows` windows down."""
        if windows <= FOREGROUND_WINDOWS or not self._pool.has_background:
            return 1.0
        return 1 / max(1 - self._pool.busy.share(), BACKGROUND_SHARE)
