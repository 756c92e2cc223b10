"""The protocol on a real socket, in front of a small application."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from serve.api.error_response import error_response
from serve.errors import RequestError
from serve.http.body_budget import BodyBudget
from serve.http.connections import Connections
from serve.http.limits import Limits
from serve.http.protocol import HttpProtocol
from serve.metrics import Metrics

MIB = 2**20
SECONDS = 60  # in which something must happen, also on a machine that is busy with something else


class App:
    """Answers with what it has received; some paths make it slow, or careless of its body."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.left: list[str] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.begun.append(path)
        request = Request(scope, receive, send)
        if path == "/late":
            await self.go_on.wait()
        try:
            body = b"" if path == "/early" else await request.body()
            if path.startswith("/wait"):
                await self._wait(receive)
        except RequestError as error:
            await error_response(error, "some-id")(scope, receive, send)
            return
        except ClientDisconnect:
            self.left.append(path)
            return
        text = b"x" * int(path.removeprefix("/large/")) if path.startswith("/large/") else None
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        answer = {"method": scope["method"], "path": path, "bytes": len(body), "headers": headers}
        content = text or json.dumps(answer).encode()
        length = str(len(content)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": content})

    async def _wait(self, receive: Receive) -> None:
        leaves = asyncio.ensure_future(receive())
        goes_on = asyncio.ensure_future(self.go_on.wait())
        await asyncio.wait([leaves, goes_on], return_when=asyncio.FIRST_COMPLETED)
        goes_on.cancel()
        if leaves.done():
            assert leaves.result()["type"] == "http.disconnect"
            raise ClientDisconnect
        leaves.cancel()


@dataclass
class Answer:
    """A response as a client reads it."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """A client that sends any bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    answers: list[Answer] = field(default_factory=list)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = SECONDS) -> Answer:
        async with asyncio.timeout(seconds):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def is_closed(self, seconds: float = SECONDS) -> bool:
        """Wait until the server closes the connection, and return whether it sent nothing more."""
        async with asyncio.timeout(seconds):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True

    def leave(self) -> None:
        self.writer.transport.abort()


@dataclass
class Served:
    """A running server."""

    app: App
    port: int
    state: ServerState
    budget: BodyBudget
    metrics: Metrics
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def until(self, is_true: Any, seconds: float = SECONDS) -> None:
        async with asyncio.timeout(seconds):
            while not is_true():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def serving(limits: Limits | None = None, budget_bytes: int = 64 * MIB) -> AsyncIterator[Served]:
    """Serve the application on a free port of this machine."""
    app = App()
    config = Config(app, lifespan="off", ws="none", log_config=None, access_log=False)
    config.load()
    state, metrics, budget = ServerState(), Metrics(), BodyBudget(budget_bytes, None)
    shared = Connections(state.connections, limits or Limits(), budget, metrics)  # type: ignore[arg-type]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpProtocol(shared, config, state, {}), "127.0.0.1", 0)
    watch = asyncio.create_task(shared.watch())
    served = Served(app, server.sockets[0].getsockname()[1], state, budget, metrics)
    try:
        yield served
    finally:
        assert not watch.done()
        watch.cancel()
        app.go_on.set()
        for client in served.clients:
            client.leave()
        await served.until(lambda: not state.connections and not state.tasks)
        assert budget.held_bytes == 0
        server.close()
