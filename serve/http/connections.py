"""All open connections: their number, their time limits, and what they share."""

import asyncio
import logging
import select
from collections.abc import Collection
from operator import attrgetter
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from serve.errors import NotReady, Overloaded
from serve.http.body_budget import BodyBudget
from serve.http.cross_origin import allow_origins
from serve.http.limits import Limits
from serve.http.refusal import Refusal
from serve.request_metrics import RequestMetrics

if TYPE_CHECKING:
    from serve.http.protocol import HttpProtocol

log = logging.getLogger(__name__)

SWEEP_SECONDS = 0.5
RETRY_AFTER_SECONDS = 1
NEVER = float("inf")


class Connections:
    """Ends the connections that are late, and makes room for new ones.

    One sweep over all connections twice a second costs the requests nothing, unlike a timer for each of them.
    """

    def __init__(
        self,
        open_connections: "Collection[HttpProtocol]",
        limits: Limits,
        budget: BodyBudget,
        metrics: RequestMetrics,
        origins: tuple[str, ...] = (),
    ) -> None:
        """open_connections: uvicorn's set of connections. metrics: count the requests that are refused here.

        origins: those whose pages may read what is refused here.
        """
        self.limits = limits
        self.budget = budget
        self.metrics = metrics
        self._origins = origins
        self._open = open_connections

    async def watch(self) -> None:
        """Sweep until the task is cancelled."""
        limits = self.limits
        shortest = min(limits.first_byte_seconds, limits.head_seconds, limits.request_seconds, limits.idle_seconds)
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, shortest / 4))
            try:
                self.sweep()
            except Exception:
                log.exception("a sweep over the connections failed; the next one follows")

    def sweep(self) -> None:
        """End the connections that are late, and those whose client has left while nothing is read from it."""
        now = asyncio.get_running_loop().time()
        paused = select.poll()
        by_descriptor = {}
        for connection in list(self._open):
            if now > connection.due:
                connection.on_late(now)
            elif now > connection.unsent_due:
                connection.drop_if_stalled(now)
            elif connection.flow.read_paused and not connection.transport.is_closing():
                descriptor = connection.descriptor
                paused.register(descriptor, select.POLLRDHUP)  # errors and hang-ups are always reported
                by_descriptor[descriptor] = connection
        for descriptor, _ in paused.poll(0) if by_descriptor else ():
            by_descriptor[descriptor].transport.abort()

    def make_room(self) -> None:
        """Close one connection if there are as many as allowed: the one from which nothing has come for longest.

        If each of them has a request in work, the newest request gives way: it has cost the least, and others that
        have waited longer are still answered.
        """
        if len(self._open) < self.limits.connections:
            return
        victim = min(self._open, key=attrgetter("active_at"))
        if victim.active_at < NEVER:
            victim.active_at = NEVER  # the connection is in the set until the loop has closed it
            victim.transport.abort()
            return
        victim = max(self._open, key=attrgetter("began_at"))
        victim.give_way(self.overloaded("connections", "this server has as many connections as it can hold"))

    def stop(self, reason: str) -> None:
        """Let the request in work of each connection fail, and close the connections."""
        for connection in list(self._open):
            connection.give_way(NotReady(reason))

    def refusal(self, error: Exception) -> ASGIApp:
        """Return an application that answers with an error what never reaches the server's own application."""
        return allow_origins(Refusal(error, self.metrics), self._origins)

    @staticmethod
    def overloaded(reason: str, text: str) -> Overloaded:
        """Return the error of a request that must wait for the connections or bodies of others."""
        return Overloaded(f"{text}; try again later", RETRY_AFTER_SECONDS, reason)
