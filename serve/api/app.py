"""HTTP at the edge: SageMaker's routes. What a request with questions goes through is in invocation.py."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline  # /docs without assets from elsewhere
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from container import contract
from serve.api import info as report
from serve.api import openapi
from serve.api.invocation import Invocation, http_error
from serve.lifecycle import Lifecycle


def create_app(lifecycle: Lifecycle) -> FastAPI:
    """The ASGI application of one model."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gc.freeze()  # what is loaded by now stays: no collection walks it again
        start = asyncio.create_task(lifecycle.start())
        yield
        start.cancel()
        await asyncio.wait([start])
        await lifecycle.close()

    app = FastAPIOffline(
        title="BERT question answering on CPU",
        version=contract.VERSION,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={HTTPException: http_error},
    )
    app.state.lifecycle = lifecycle

    @app.post("/ping", include_in_schema=False)
    @app.get("/ping", tags=["health"], responses=openapi.PING)
    async def ping() -> Response:
        """200 when the model is warm and can answer now, else 503."""
        return Response(status_code=200 if lifecycle.ping() else 503)

    @app.post("/invocations", tags=["answers"], openapi_extra=openapi.REQUEST_BODY, responses=openapi.RESPONSES)
    async def invocations(request: Request) -> Response:
        """Answer questions about texts, in one of four forms; the answer comes in the form of the request."""
        return await Invocation(lifecycle, request).respond()

    @app.get("/execution-parameters", tags=["health"])
    async def execution_parameters() -> dict[str, int | str]:
        """What SageMaker's batch transform asks before it sends data."""
        return report.execution_parameters(lifecycle)

    @app.get("/info", tags=["health"])
    async def info() -> dict[str, object]:
        """The model, its precisions, the lanes and what is warm."""
        return report.info(lifecycle)

    @app.get("/metrics", tags=["health"])
    async def metrics() -> Response:
        """Prometheus' text format."""
        report.refresh_gauges(lifecycle)
        return Response(lifecycle.metrics.exposition(), media_type="text/plain; version=0.0.4")

    openapi.describe(app)
    app.middleware_stack = _before(app.build_middleware_stack(), lifecycle)
    return app


def _before(rest: ASGIApp, lifecycle: Lifecycle) -> ASGIApp:
    """The one busy route goes before FastAPI's middleware: that costs 0.3 ms, and Invocation lets no error out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/invocations" and scope["method"] == "POST":
            response = await Invocation(lifecycle, Request(scope, receive, send)).respond()
            await response(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app
