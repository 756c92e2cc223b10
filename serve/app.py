"""HTTP at the edge: SageMaker's routes, sizes, media types and status codes. Everything else is in engine.py."""

import asyncio
import gc
import logging
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi_offline import FastAPIOffline  # /docs without assets from elsewhere
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from container import contract
from serve import errors, json_lines, openapi, report, request_body
from serve.engine import Trace
from serve.errors import InvalidRequest, NotReady, Overloaded, PayloadTooLarge, RequestError
from serve.fair_queue import Turn
from serve.lifecycle import Lifecycle, State
from serve.request_body import JSON, JSON_LINES

T = TypeVar("T")
log = logging.getLogger("request")

ERROR_STATUS: dict[type[RequestError], int] = {
    errors.MalformedBody: 400,
    errors.NotAcceptable: 406,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.DocumentTooLong: 422,
    errors.PrecisionUnavailable: 422,
    errors.Overloaded: 429,
    errors.InferenceFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
}
CLIENT_GONE = 499  # nginx's number; nobody receives it, the log and the metrics show it
WATCH_AFTER_SECONDS = 0.05  # a client that leaves is noticed from then on
REQUEST_ID_CHARACTERS = 64  # of an InferenceId
ERROR_BYTES = contract.ERROR_BODY_BYTES * 2 // 5  # of a message: JSON escapes may double it, and the rest must fit
PARSE_INLINE_BYTES = 65_536  # parsing more than this takes milliseconds, so it leaves the event loop


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
        exception_handlers={HTTPException: _http_error},
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
        return await _Invocation(lifecycle, request).respond()

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
    """The one busy route goes before FastAPI's middleware: that costs 0.3 ms, and _Invocation lets no error out."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/invocations" and scope["method"] == "POST":
            response = await _Invocation(lifecycle, Request(scope, receive, send)).respond()
            await response(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


class _Invocation:
    """One POST to /invocations: from its bytes to a response, a log line and metrics, whatever happens."""

    def __init__(self, lifecycle: Lifecycle, request: Request) -> None:
        self._lifecycle = lifecycle
        self._request = request
        given_id = request.headers.get("x-amzn-sagemaker-inference-id", "")[:REQUEST_ID_CHARACTERS]
        self._request_id = given_id or uuid.uuid4().hex
        self._trace = Trace()
        self._form = "none"

    async def respond(self) -> Response:
        start = time.perf_counter()
        error: str | None = None
        try:
            response = await self._answer()
        except RequestError as failure:
            response = _error_response(failure, self._request_id)
            error = f"{_error_type(failure)}: {failure}"
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
            error = "client_gone"
        except Exception:
            log.exception("request %s failed by an error that nobody foresaw", self._request_id)
            response = _error_json(500, "internal", "internal error; report the request_id", self._request_id)
            error = "internal"
        attributes = self._request.headers.get(custom_attributes.HEADER)
        response.headers[custom_attributes.HEADER] = custom_attributes.answered(attributes, self._request_id)
        self._trace.took("total", start)
        # The answer goes out first: writing the log line can wait for the next turn of the event loop.
        asyncio.get_running_loop().call_soon(self._record, response.status_code, error)
        return response

    async def _answer(self) -> Response:
        lifecycle, headers = self._lifecycle, self._request.headers
        media = request_body.media_type(headers.get("content-type"), headers.get("content-encoding"))
        request_body.check_accept(headers.get("accept"), media)
        if not lifecycle.is_healthy and lifecycle.state is not State.DRAINING:
            raise NotReady(f"cannot answer now (state: {lifecycle.state}); /ping says 200 when the server can")
        if media != JSON:
            return await self._json_lines()
        body = b"".join([chunk async for chunk in self._body(lifecycle.settings.max_payload_mb)])
        content = await self._unless_client_goes(self._json(body, lifecycle.engine.new_turn()))
        return Response(content, media_type=media, headers={"x-request-id": self._request_id})

    async def _body(self, limit_mb: int | None) -> AsyncIterator[bytes]:
        """The body as it comes, but no more than the limit.

        Raises: PayloadTooLarge, ClientDisconnect.
        """
        announced = self._request.headers.get("content-length", "")
        received = 0
        size = int(announced) if announced.isdecimal() else 0
        if limit_mb is None or size <= limit_mb * 2**20:
            async for chunk in self._request.stream():
                received += len(chunk)
                if limit_mb is not None and received > limit_mb * 2**20:
                    break
                yield chunk
        if limit_mb is not None and max(size, received) > limit_mb * 2**20:
            raise PayloadTooLarge(f"the body is larger than {limit_mb} MiB; split it, or raise MAX_PAYLOAD_MB")

    async def _json(self, body: bytes, turn: Turn) -> bytes:
        start = time.perf_counter()
        if len(body) > PARSE_INLINE_BYTES:
            parsed = await asyncio.to_thread(request_body.parse, body)
        else:
            parsed = request_body.parse(body)
        self._form = parsed.form
        self._trace.took("parse", start)
        answered = await self._lifecycle.engine.answer(parsed.items, turn, self._trace)
        return orjson.dumps(parsed.body(answered))

    async def _json_lines(self) -> Response:
        """One line out for each line in, in order; a bad line becomes an error object and harms no other."""
        self._form = "jsonlines"
        lifecycle = self._lifecycle
        lifecycle.engine.check_queue()
        turn = lifecycle.engine.new_turn()

        async def answer(line: bytes | None) -> bytes:
            try:
                if line is None:
                    raise InvalidRequest(f"the line is longer than {json_lines.LINE_BYTES // 2**20} MiB; split it")
                parsed = request_body.parse(line)
                answered = await lifecycle.engine.answer(parsed.items, turn, self._trace, is_admitted=True)
                return orjson.dumps(parsed.body(answered))
            except RequestError as failure:
                return orjson.dumps(_error_body(_error_type(failure), str(failure), self._request_id))

        limit_mb = None if lifecycle.settings.batch else lifecycle.settings.max_payload_mb
        answering = json_lines.Answering(answer)
        try:
            await answering.read(self._body(limit_mb))
            await self._unless_client_goes(answering.finish())
        except BaseException:
            answering.give_up()
            raise
        headers = {"x-request-id": self._request_id, "content-length": str(answering.spool.tell())}
        return StreamingResponse(json_lines.spooled(answering.spool), media_type=JSON_LINES, headers=headers)

    async def _unless_client_goes(self, answer: Coroutine[None, None, T]) -> T:
        """Await the answer; give the work up when the client leaves.

        The watch begins late: most answers are there before, and are spared its cost.
        Raises: ClientDisconnect.
        """
        this_request = asyncio.current_task()
        assert this_request is not None
        gone = False

        async def watch() -> None:
            nonlocal gone
            await asyncio.sleep(WATCH_AFTER_SECONDS)
            await self._request.receive()  # the body is read: what comes now is the disconnect
            gone = True
            this_request.cancel()

        watching = asyncio.ensure_future(watch())
        try:
            return await answer
        except asyncio.CancelledError:
            if gone:
                this_request.uncancel()
                raise ClientDisconnect from None
            raise
        finally:
            watching.cancel()

    def _record(self, status: int, error: str | None) -> None:
        """The request's one log line, without its texts, and its metrics."""
        trace, metrics = self._trace, self._lifecycle.metrics
        precision = "+".join(sorted(trace.precisions)) or "none"
        metrics.requests.labels(str(status), self._form, precision).inc()
        for stage, seconds in trace.stages.items():
            metrics.of_stage[stage].observe(seconds)
        fields = {
            "request_id": self._request_id,
            "status": status,
            "form": self._form,
            "precision": precision,
            "windows": trace.windows,
            "tokens": trace.tokens,
            "rungs": sorted(set(trace.rungs)),
            **{f"{stage}_ms": round(seconds * 1000, 2) for stage, seconds in trace.stages.items()},
        }
        if error:
            fields["error"] = error
        log.log(logging.ERROR if status == 500 else logging.INFO, "invocation", extra=fields)


def _error_type(failure: RequestError) -> str:
    """DocumentTooLong -> document_too_long."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(failure).__name__).lstrip("_")


def _error_body(error_type: str, message: str, request_id: str) -> dict[str, str]:
    shortened = message.encode()[:ERROR_BYTES].decode(errors="ignore")
    return {"error_type": error_type, "error": shortened, "request_id": request_id}


def _error_json(status: int, error_type: str, message: str, request_id: str) -> Response:
    content = orjson.dumps(_error_body(error_type, message, request_id))
    return Response(content, status, media_type=JSON, headers={"x-request-id": request_id})


def _error_response(failure: RequestError, request_id: str) -> Response:
    response = _error_json(ERROR_STATUS[type(failure)], _error_type(failure), str(failure), request_id)
    if isinstance(failure, Overloaded):
        response.headers["retry-after"] = str(failure.retry_after_seconds)
    return response


async def _http_error(_: Request, error: Exception) -> Response:
    """Starlette's own errors (404, 405) in our form."""
    assert isinstance(error, HTTPException)
    error_type = error.detail.lower().replace(" ", "_")
    return _error_json(error.status_code, error_type, f"{error.detail}; see /docs", uuid.uuid4().hex)
