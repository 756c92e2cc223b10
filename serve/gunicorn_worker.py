"""The gunicorn worker that runs the HTTP process: uvicorn, with our drain and our exit codes."""

import asyncio
import sys
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from container import contract
from serve.lifecycle import Lifecycle, State
from serve.multi_model.registry import Models

POLL_SECONDS = 0.1


class HttpWorker(UvicornWorker):  # type: ignore[misc]  # uvicorn-worker ships no types
    """One uvicorn server in a gunicorn worker."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,  # nothing reads the client address
        "server_header": False,
        "timeout_graceful_shutdown": contract.DRAIN_SECONDS,
    }

    async def _serve(self) -> None:
        lifecycle: Lifecycle | Models = self.wsgi.state.lifecycle
        self.config.app = self.wsgi
        server = _DrainingServer(self.config, lifecycle)
        self._install_sigquit_handler()
        watch = asyncio.create_task(_stop_on_failure(server, lifecycle))
        await server.serve(sockets=self.sockets)
        watch.cancel()
        if not server.started or lifecycle.state is State.FAILED:
            # gunicorn starts no other worker after this code: a broken model is not retried for ever.
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class _DrainingServer(Server):
    """Tells the lifecycle when the server is told to stop."""

    def __init__(self, config: Any, lifecycle: Lifecycle | Models) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._lifecycle.drain()
        super().handle_exit(sig, frame)


async def _stop_on_failure(server: Server, lifecycle: Lifecycle | Models) -> None:
    while lifecycle.state is not State.FAILED:
        await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True
