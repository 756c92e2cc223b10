"""The gunicorn worker that runs the HTTP process: uvicorn, with our connections, our drain and our exit codes."""

import asyncio
import functools
import signal
import socket
import sys
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from container import cgroup, contract
from serve.http.body_budget import BodyBudget
from serve.http.connections import Connections
from serve.http.cross_origin import allow_origins
from serve.http.limits import Limits, bodies_mib
from serve.http.protocol import HttpProtocol
from serve.processes.child import end_with_parent
from serve.servable import Servable, State

POLL_SECONDS = 0.1
REFUSAL_SECONDS = 1.0  # of the drain, in which the requests that cannot be answered are told so
STOPPED = "the server has stopped before this request was answered; send it again, to a server that is ready"
# gunicorn starts no other worker after this code either. It means that an app cannot be imported, which cannot happen
# here, so serve/__main__.py can tell it from a broken model.
LOST_PROCESSES: int = Arbiter.APP_LOAD_ERROR


class HttpWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """Runs one uvicorn server in a gunicorn worker."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,  # nothing reads the client's address
        "server_header": False,
        "timeout_graceful_shutdown": contract.DRAIN_SECONDS,
    }

    async def _serve(self) -> None:
        end_with_parent(self.ppid)  # without gunicorn's master, nobody would stop or replace this worker
        servable: Servable = self.wsgi.state.lifecycle
        self.config.app = allow_origins(self.wsgi, servable.settings.cors_allow_origins)
        server = _DrainingServer(self.config, servable)
        self.config.http = functools.partial(HttpProtocol, server.connections)
        # gunicorn sends SIGQUIT when it gets SIGINT or SIGQUIT. UvicornWorker's own handler does not tell the server.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        watching = (_stop_on_failure(server, servable), server.connections.watch())
        tasks = [asyncio.create_task(each) for each in watching]
        await server.serve(sockets=self.sockets)
        for task in tasks:
            task.cancel()
        if servable.has_lost_processes:
            sys.exit(LOST_PROCESSES)
        if not server.started or servable.state is State.FAILED:
            # With this code gunicorn starts no other worker, so a broken model is not loaded again for ever.
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _DrainingServer(Server):
    """Tells the model's lifecycle when the server is told to stop, and the clients whose time is over."""

    def __init__(self, config: Any, servable: Servable) -> None:
        super().__init__(config)
        self._servable = servable
        self.connections = _connections(self, servable)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._servable.drain()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the accepted requests. Those that take too long get an error, before uvicorn cancels them."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(contract.DRAIN_SECONDS - REFUSAL_SECONDS, self.connections.stop, STOPPED)
        await super().shutdown(sockets)
        timer.cancel()


def _connections(server: Server, servable: Servable) -> Connections:
    settings = servable.settings
    budget_bytes = bodies_mib(settings, cgroup.available_memory_mb()) * 2**20
    budget = BodyBudget(budget_bytes, settings.max_payload_mb * 2**20 or None)
    metrics, connections = servable.metrics, server.server_state.connections
    metrics.body_bytes_in_flight.set_function(lambda: budget.held_bytes)
    metrics.connections.set_function(lambda: len(connections))
    limits, origins = Limits.from_settings(settings), settings.cors_allow_origins
    return Connections(connections, limits, budget, metrics, origins)  # type: ignore[arg-type]


async def _stop_on_failure(server: Server, servable: Servable) -> None:
    while servable.state is not State.FAILED:
        await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True
