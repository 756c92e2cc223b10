"""The CPU time that routing and middleware add to one POST /invocations, for three ways to register the route.

    python -m benchmarks.latency.routing

Each application answers with a constant and is called directly as an ASGI application, without a socket or a server.
The variants are measured in alternating rounds; the table shows the median over the rounds.
"""

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable

from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY = b'{"question": "Who built it?", "context": "Zoe built it."}'
WARM_UP_REQUESTS = 2000


async def respond(request: Request) -> Response:
    """Read the body, and return a constant answer."""
    async for _ in request.stream():
        pass
    return Response(b'{"answer": "Zoe"}', media_type="application/json")


def outer_class() -> ASGIApp:
    """Answer in front of FastAPI, without its routing and middleware."""
    rest = FastAPI()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/invocations" and scope["method"] == "POST":
            response = await respond(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return application


def starlette_route() -> ASGIApp:
    """Answer in a plain route of starlette, which comes first in FastAPI's router."""
    return FastAPI(routes=[Route("/invocations", respond, methods=["POST"])])


def fastapi_route() -> ASGIApp:
    """Answer in a route of FastAPI."""
    app = FastAPI()

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        return await respond(request)

    return app


VARIANTS: dict[str, Callable[[], ASGIApp]] = {
    "a class in front of FastAPI": outer_class,
    "a route of starlette, first": starlette_route,
    "a route of FastAPI": fastapi_route,
}


async def microseconds(app: ASGIApp, requests: int) -> float:
    """Return the CPU time of one request, in microseconds."""
    headers = [(b"host", b"localhost:8080"), (b"content-type", b"application/json")]

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"the application answered {message['status']}")

    start = time.process_time()
    for _ in range(requests):
        scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": "/invocations", "root_path": ""}
        await app({**scope, "query_string": b"", "headers": headers, "scheme": "http", "state": {}}, receive, send)
    return (time.process_time() - start) / requests * 1e6


async def measure(rounds: int, requests: int) -> dict[str, float]:
    """Return the median of each variant, in microseconds."""
    apps = {name: make() for name, make in VARIANTS.items()}
    for app in apps.values():
        await microseconds(app, WARM_UP_REQUESTS)
    gc.freeze()
    found: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(rounds):
        for name, app in apps.items():
            found[name].append(await microseconds(app, requests))
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Print one line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21, help="alternating rounds (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=1000, help="requests of one round (default: %(default)s)")
    given = parser.parse_args()
    table = Table("POST /invocations is answered by", "CPU µs per request")
    for name, median in asyncio.run(measure(given.rounds, given.requests)).items():
        table.add_row(name, f"{median:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
