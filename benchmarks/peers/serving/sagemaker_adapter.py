"""A second HTTP server in front of Ray Serve, as in AWS's SageMaker image, where Ray Serve has only a route at /.

AWS's adapter also writes three log lines for each request. This one writes none.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request, Response

TIMEOUT_SECONDS = 300


def create_app(backend: str) -> FastAPI:
    """Return an app that forwards POST /invocations to the backend, and answers GET /ping with the backend's health."""
    client = httpx.AsyncClient(base_url=backend, timeout=TIMEOUT_SECONDS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/ping")
    async def ping() -> Response:
        health = await client.get("/-/healthz")
        return Response(status_code=health.status_code)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        headers = {"Content-Type": request.headers.get("Content-Type", "application/json")}
        answer = await client.post("/invocations", content=await request.body(), headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("Content-Type"))

    return app
