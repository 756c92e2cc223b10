"""SageMaker's API of a multi-model endpoint: load, list, unload and invoke models.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html
"""

import gc
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from container import contract
from serve.api import openapi, request_body
from serve.api.invocation import Invocation, error_response, http_error
from serve.api.schemas import LoadRequest
from serve.errors import ModelNotLoaded, RequestError
from serve.lifecycle import State
from serve.multi_model import info as multi_model_report
from serve.multi_model.registry import Models

PREFIX, INVOKE = "/models/", "/invoke"


def create_multi_model_app(models: Models) -> FastAPI:
    """The ASGI application of a multi-model endpoint."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gc.freeze()  # what is loaded by now stays: no collection walks it again
        yield
        await models.close()

    app = FastAPIOffline(
        title="BERT question answering on CPU: many models",
        version=contract.VERSION,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={HTTPException: http_error, RequestError: _request_error},
    )
    app.state.lifecycle = models
    _add_health(app, models)
    _add_models(app, models)
    openapi.describe(app)
    app.middleware_stack = _before(app.build_middleware_stack(), models)
    return app


def _add_health(app: FastAPI, models: Models) -> None:
    @app.post("/ping", include_in_schema=False)
    @app.get("/ping", tags=["health"], responses=openapi.PING)
    async def ping() -> Response:
        """200 while models can be loaded and asked, with or without any."""
        return Response(status_code=200 if models.state is State.READY else 503)

    @app.get("/info", tags=["health"])
    async def info() -> dict[str, object]:
        """Each model, its precisions, its lanes and what is warm."""
        return multi_model_report.info(models)

    @app.get("/metrics", tags=["health"])
    async def metrics() -> Response:
        """Prometheus' text format; the label `model` says whose."""
        return Response(multi_model_report.exposition(models), media_type="text/plain; version=0.0.4")


def _add_models(app: FastAPI, models: Models) -> None:
    @app.post("/models", tags=["models"], openapi_extra=openapi.LOAD_BODY, responses=openapi.LOAD_RESPONSES)
    async def load(request: Request) -> Response:
        """Load a model from a directory; the answer comes when the model can answer."""
        asked = request_body.validate_json(LoadRequest, await request.body())
        await models.load(asked.model_name, asked.url)
        return Response()

    @app.get("/models", tags=["models"])
    async def list_models(next_page_token: str = "") -> dict[str, object]:
        """The models that are loaded, in pages."""
        return multi_model_report.page(((model.name, model.url) for model in models), next_page_token)

    @app.get("/models/{model_name}", tags=["models"], responses=openapi.NOT_LOADED)
    async def get(model_name: str) -> dict[str, str]:
        """One model that is loaded."""
        return multi_model_report.entry(model_name, models.find(model_name).url)

    @app.delete("/models/{model_name}", tags=["models"], responses=openapi.NOT_LOADED)
    async def unload(model_name: str) -> Response:
        """Unload a model; its processes have ended and its memory is free when the answer comes."""
        await models.unload(model_name)
        return Response()

    @app.post(
        "/models/{model_name}/invoke",
        tags=["answers"],
        openapi_extra=openapi.REQUEST_BODY,
        responses={**openapi.RESPONSES, **openapi.NOT_LOADED},
    )
    async def invoke(model_name: str, request: Request) -> Response:
        """Answer questions with one model, as /invocations does where there is one only."""
        return await _invoke(models, model_name, request)


def _before(rest: ASGIApp, models: Models) -> ASGIApp:
    """The one busy route goes before FastAPI's middleware, as in app.py."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        is_invoke = path.startswith(PREFIX) and path.endswith(INVOKE)
        if scope["type"] == "http" and scope["method"] == "POST" and is_invoke:
            name = path[len(PREFIX) : -len(INVOKE)]
            response = await _invoke(models, name, Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


async def _invoke(models: Models, name: str, request: Request) -> Response:
    try:
        model = models.find(name)
    except ModelNotLoaded as failure:
        return error_response(failure, uuid.uuid4().hex)
    with model.in_use() as lifecycle:
        return await Invocation(lifecycle, request, name).respond()


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(error, uuid.uuid4().hex)
