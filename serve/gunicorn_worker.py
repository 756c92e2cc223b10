"""The gunicorn worker that runs the HTTP process: uvicorn, with our drain and our exit codes."""

import asyncio
import sys
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from container import contract
from serve.lifecycle import Servable, State

POLL_SECONDS = 0.1


class HttpWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """Runs one uvicorn server in a gunicorn worker."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,  # nothing reads the client's address
        "server_header": False,
        "timeout_graceful_shutdown": contract.DRAIN_SECONDS,
    }

    async def _serve(self) -> None:
        servable: Servable = self.wsgi.state.lifecycle
        self.config.app = self.wsgi
        server = _DrainingServer(self.config, servable)
        self._install_sigquit_handler()
        watch = asyncio.create_task(_stop_on_failure(server, servable))
        await server.serve(sockets=self.sockets)
        watch.cancel()
        if not server.started or servable.state is State.FAILED:
            # With this code gunicorn starts no other worker, so a broken model is not loaded again for ever.
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _DrainingServer(Server):
    """Tells the model's lifecycle when the server is told to stop."""

    def __init__(self, config: Any, servable: Servable) -> None:
        super().__init__(config)
        self._servable = servable

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._servable.drain()
        super().handle_exit(sig, frame)


async def _stop_on_failure(server: Server, servable: Servable) -> None:
    while servable.state is not State.FAILED:
        await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True
