"""Answer, log and count every error that the answering route does not handle: of other routes, and of unknown paths."""

import logging
from collections.abc import Iterable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.api.error_response import error_response, log_text, refusal_of
from serve.api.request_log import CLIENT_GONE, RequestRecord
from serve.api.telemetry.quiet_paths import QuietPaths
from serve.errors import MethodNotAllowed, NotFound, RequestError
from serve.request_metrics import RequestMetrics

log = logging.getLogger("request")
DOCS = "/docs"


class ErrorHandlers:
    """The error handlers of an application. The response, the log line and the metrics are those of any request."""

    def __init__(self, metrics: RequestMetrics, probed: Iterable[str] = ()) -> None:
        """probed: paths that are requested all the time, and therefore log few of their errors."""
        self._metrics = metrics
        self._quiet = QuietPaths(probed)

    def install(self, app: FastAPI) -> None:
        """Let an application use these handlers for all of its routes."""
        for kind in (RequestError, HTTPException, ClientDisconnect):
            app.add_exception_handler(kind, self.handle)
        app.add_middleware(UnexpectedErrors, handlers=self)

    async def handle(self, request: Request, error: Exception) -> Response:
        """Return the response to a request that ended with an error."""
        record = RequestRecord.begin(request.headers, None)
        record.route = _declared_path(request.scope.get("route"))
        if isinstance(error, ClientDisconnect):
            response = Response(status_code=CLIENT_GONE)
            record.write(self._metrics, CLIENT_GONE, "client_gone")
            return response
        if isinstance(error, HTTPException):
            error = _of_router(error, request.scope)
        if not isinstance(error, RequestError):
            log.error("request %s failed with an unexpected error", record.request_id, exc_info=error)
        response = error_response(error, record.request_id)
        record.identify(response, request.headers)
        record.refusal = refusal_of(error)
        is_logged = response.status_code >= 500 or self._quiet.allow(request.scope["path"], response.status_code)
        record.write(self._metrics, response.status_code, log_text(error), is_logged=is_logged)
        return response


class UnexpectedErrors:
    """ASGI middleware: the exceptions for which an application has no handler get the response of an internal error.

    starlette's own middleware would answer with plain text, and raise the exception again.
    """

    def __init__(self, app: ASGIApp, handlers: ErrorHandlers) -> None:
        self._app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. If the response has begun, the exception goes on to uvicorn, which cuts the response."""
        has_begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except Exception as error:
            if has_begun or scope["type"] != "http":
                raise
            response = await self._handlers.handle(Request(scope), error)
            await response(scope, receive, send)


def _of_router(error: HTTPException, scope: Scope) -> Exception:
    """Return the error that tells the client what starlette's router, or its static files, could not do."""
    # A route with files has moved its own part of the path into root_path.
    complete = {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}
    allowed = frozenset[str]().union(*(_methods(route, complete) for route in scope["app"].routes))
    if error.status_code == 404 or not allowed:
        return NotFound(f"there is no such route; this server has {_paths(scope['app'].routes)}")
    if error.status_code == 405:
        message = f"this route has only {', '.join(sorted(allowed))}"
        if any(_declared_path(route) == DOCS for route in scope["app"].routes):
            message += f"; GET {DOCS} lists the routes and their methods"
        return MethodNotAllowed(message, allowed)
    return error


def _paths(routes: Iterable[BaseRoute]) -> str:
    """Return the paths of all routes that the API describes, and of its own documentation."""
    named = ((_declared_path(route), getattr(route, "include_in_schema", False)) for route in routes)
    return ", ".join(sorted({path for path, is_described in named if path and (is_described or path == DOCS)}))


def _declared_path(route: BaseRoute | None) -> str | None:
    """Return the path of a route with the names of its parameters, or None if it has none."""
    return route.path_format if isinstance(route, Route) else getattr(route, "path", None)


def _methods(route: BaseRoute, scope: Scope) -> frozenset[str]:
    """Return the methods with which a route accepts the path of a request."""
    if route.matches(scope)[0] is Match.NONE:
        return frozenset()
    return frozenset(getattr(route, "methods", None) or ("GET", "HEAD"))  # files have no list of methods
