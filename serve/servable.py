"""What the HTTP side may ask of one model, or of many."""

from enum import StrEnum
from typing import Protocol

from container.settings import Settings
from serve.request_metrics import RequestMetrics


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

    @property
    def metrics(self) -> RequestMetrics:
        """The metrics of requests that belong to no model, or to the only one."""

    @property
    def has_lost_processes(self) -> bool:
        """Whether the server failed because processes were lost: a restart may help."""

    def ping(self) -> bool:
        """Whether /ping answers 200."""

    async def start(self) -> None:
        """Begin to serve. Ends in READY or FAILED, and never raises."""

    def drain(self) -> None:
        """Note that the server was told to stop. Accepted requests are still answered."""

    async def close(self) -> None:
        """End all processes."""
