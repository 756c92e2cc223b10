"""The ASGI application: SageMaker's routes for one model, and the routes that one model and many have in common."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline  # its /docs loads no files from other hosts
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from container import contract
from container.access.api_keys import ApiKeys
from container.validation.routes import ANSWERING_ROUTES, HEALTH_ROUTES
from serve.api import info as report
from serve.api.access.admin_port import AdminPort
from serve.api.access.api_key import ApiKeyCheck
from serve.api.error_handlers import ErrorHandlers
from serve.api.invocation import Invocation
from serve.api.openapi import operations
from serve.api.openapi.description import describe
from serve.api.platforms import kserve
from serve.api.telemetry import gauges
from serve.errors import RequestError
from serve.lifecycle import Lifecycle
from serve.metrics import exposition
from serve.page.routes import page_routes
from serve.servable import Servable
from serve.tracing.tracer import open_tracer


class AnsweringApp:
    """The ASGI application: it answers the busy routes itself, and passes every other request on to FastAPI.

    FastAPI's routing and middleware would cost the busy routes CPU time (docs/decisions/0010). FastAPI has these routes
    as well, to answer other methods with 405 and to describe the API.
    """

    def __init__(self, fastapi: FastAPI, answering: Sequence[Route], keys: ApiKeys | None) -> None:
        """answering: the routes that answer questions, the busiest first. keys: None if every client may ask.

        Every other route must have been added. The last steps are taken here: the API is described, every route with
        GET gets HEAD, and errors get their handlers.
        """
        self.fastapi = fastapi
        self.state = fastapi.state
        self._answering = answering
        lifecycle = fastapi.state.lifecycle
        self._key_check = ApiKeyCheck(keys, lifecycle.settings) if keys else None
        self._admin_port = AdminPort(lifecycle.settings.admin_port) if lifecycle.settings.admin_port else None
        without_key = self._key_check.exempt if self._key_check else None
        describe(fastapi, without_key, has_admin_port=self._admin_port is not None)
        _add_head(fastapi)
        self._errors = ErrorHandlers(lifecycle.metrics, (*HEALTH_ROUTES, lifecycle.settings.health_route, "/metrics"))
        self._errors.install(fastapi)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "http":
            if refusal := self._refusal(scope):
                response = await self._errors.handle(Request(scope, receive, send), refusal)
                await response(scope, receive, send)
                return
            for route in self._answering:
                match, matched_scope = route.matches(scope)
                if match is Match.FULL:
                    scope.update(matched_scope)
                    await self._answer(route, scope, receive, send)
                    return
        await self.fastapi(scope, receive, send)

    def _refusal(self, scope: Scope) -> RequestError | None:
        """Return the error of a request that has no key, or that came to a port without its route."""
        if self._key_check and (refusal := self._key_check.refusal(scope)):
            return refusal
        return self._admin_port.refusal(scope) if self._admin_port else None

    async def _answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Exception as error:
            response = await self._errors.handle(request, error)
        await response(scope, receive, send)


def create_app(lifecycle: Lifecycle, keys: ApiKeys | None = None) -> AnsweringApp:
    """Create the application for one model. keys: None if every client may ask."""

    async def invocations(request: Request) -> Response:
        """Answer questions about texts. The request has one of four forms, and the answer has the same form."""
        return await Invocation(lifecycle, request).respond()

    async def metrics_body(accept: str) -> tuple[bytes, str]:
        gauges.refresh(lifecycle)
        return exposition(lifecycle.metrics.registry, accept)

    title = "BERT question answering on CPU"
    answering = [
        Route("/invocations", invocations, methods=["POST"]),
        Route("/", invocations, methods=["POST"], name="root"),  # Hugging Face's clients send to a base URL
        kserve.predict_route(lifecycle, invocations),
    ]
    path = lifecycle.settings.predict_route
    if path and path not in ANSWERING_ROUTES:
        answering.append(Route(path, invocations, methods=["POST"], name="platform"))
    app = new_app(title, lifecycle, answering, lambda: report.info(lifecycle), metrics_body)
    kserve.add_model_routes(app, lifecycle)

    @app.get(
        "/execution-parameters",
        tags=["health"],
        response_model=None,
        responses=operations.EXECUTION_PARAMETERS_RESPONSES,
    )
    async def execution_parameters() -> dict[str, int | str]:
        """Return the limits that SageMaker's batch transform reads before it sends data."""
        return report.execution_parameters(lifecycle)

    if lifecycle.settings.page and not lifecycle.settings.admin_port:  # the page reads /info
        app.routes.extend(page_routes(has_docs=lifecycle.settings.docs))
    return AnsweringApp(app, answering, keys)


def new_app(
    title: str,
    servable: Servable,
    answering: Sequence[Route],
    info_body: Callable[[], dict[str, object]],
    metrics_body: Callable[[str], Awaitable[tuple[bytes, str]]],
) -> FastAPI:
    """Create an application that starts and closes a servable, with the routes that one model and many have in common.

    answering: the routes that answer questions. info_body: returns the body of /info. metrics_body: returns the body
    and the media type of /metrics for a header Accept.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        gc.freeze()  # the garbage collector skips everything that has been loaded so far
        start = asyncio.create_task(servable.start())
        yield
        start.cancel()
        await asyncio.wait([start])
        await servable.close()
        settings = servable.settings
        if tracer := open_tracer(settings.otlp_endpoint, settings.trace_share, settings.service_name):
            await tracer.close()

    # Without the documentation, no other package adds routes either.
    create = FastAPIOffline if servable.settings.docs else partial(FastAPI, docs_url=None, openapi_url=None)
    app = create(
        routes=list(answering),
        title=title,
        version=contract.VERSION,
        redoc_url=None,
        redirect_slashes=False,  # /ping/ is an unknown path, and no redirection to a host that the client names
        lifespan=lifespan,
    )
    app.state.lifecycle = servable

    for path in HEALTH_ROUTES:
        _add_health_check(app, servable, path, ("GET", "POST"))
    if servable.settings.health_route not in ("", *HEALTH_ROUTES):
        _add_health_check(app, servable, servable.settings.health_route, ("GET",))

    @app.get("/info", tags=["health"], response_model=None, responses=operations.INFO_RESPONSES)
    async def info() -> dict[str, object]:
        """Describe each model: its precisions, its lanes, and the window lengths that are warm."""
        return info_body()

    @app.get("/metrics", tags=["health"], response_class=Response, responses=operations.METRICS_RESPONSES)
    async def metrics(request: Request) -> Response:
        """Return the metrics in Prometheus' text format, or in OpenMetrics' if the header Accept asks for it."""
        body, media_type = await metrics_body(request.headers.get("accept", ""))
        return Response(body, media_type=media_type)

    return app


def _add_health_check(app: FastAPI, servable: Servable, path: str, methods: tuple[str, ...]) -> None:
    """Add a route that says whether the server can answer now. POST and the alias /health are for other platforms."""

    async def ping() -> Response:
        """Return 200 if the server can answer now, otherwise 503. The length of the queue does not matter."""
        return Response(status_code=200 if servable.ping() else 503)

    for method in methods:
        app.add_api_route(
            path,
            ping,
            methods=[method],
            tags=["health"],
            operation_id=f"ping_by_{method.lower()}_{path.strip('/')}",
            response_class=Response,
            responses=operations.PING_RESPONSES,
        )


def _add_head(app: FastAPI) -> None:
    """Let every route with GET answer HEAD too, as RFC 9110 (section 9.1) requires; uvicorn drops the body."""
    for route in app.routes:
        methods = getattr(route, "methods", None)
        if methods is not None and "GET" in methods:
            methods.add("HEAD")
