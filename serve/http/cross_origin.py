"""CORS: let web pages of other origins read what the server answers. It is off unless CORS_ALLOW_ORIGINS is set.

A preflight that cannot be allowed is answered like any OPTIONS, in the form of every error.
"""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.api import custom_attributes
from serve.api.request_log import INFERENCE_ID, REQUEST_ID
from serve.tracing import context as trace_context

METHODS = ("GET", "HEAD", "POST")  # a page may ask questions, but not unload a model with DELETE
MODELS = "/models"  # nor load one with POST: a model is code (docs/security.md)
REQUEST_HEADERS = ("authorization", INFERENCE_ID, REQUEST_ID, trace_context.HEADER, custom_attributes.HEADER)
RESPONSE_HEADERS = ("X-Request-Id", trace_context.HEADER, "Retry-After", "WWW-Authenticate", custom_attributes.HEADER)
REFUSED = 400  # starlette's status for a preflight that cannot be allowed


class CrossOrigin(CORSMiddleware):
    """starlette's middleware, except that it leaves what it refuses to the application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight that can be allowed; add the headers to every other response."""
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            if "origin" in headers and "access-control-request-method" in headers:
                response = self.preflight_response(headers)
                if response.status_code == REFUSED or scope["path"] == MODELS:
                    await self.simple_response(scope, receive, send, headers)
                else:
                    await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def allow_origins(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    """Return the application with CORS for these origins, or as it is if there are none."""
    if not origins:
        return app
    return CrossOrigin(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=REQUEST_HEADERS,
        expose_headers=RESPONSE_HEADERS,
    )
