"""One POST with questions: from its bytes to a response, a log line and metrics; and errors as responses."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Coroutine
from typing import TypeVar

import orjson
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from container import contract
from serve import errors
from serve.api import custom_attributes, json_lines, request_body
from serve.api.request_body import JSON, JSON_LINES
from serve.errors import InvalidRequest, NotReady, Overloaded, PayloadTooLarge, RequestError
from serve.lanes.fair_queue import Ticket
from serve.lifecycle import Lifecycle, State
from serve.qa.engine import Trace

T = TypeVar("T")
log = logging.getLogger("request")

ERROR_STATUS: dict[type[RequestError], int] = {
    errors.MalformedBody: 400,
    errors.ModelUnusable: 400,
    errors.ModelNotLoaded: 404,
    errors.ModelNotFound: 404,
    errors.NotAcceptable: 406,
    errors.ModelAlreadyLoaded: 409,
    errors.PayloadTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.DocumentTooLong: 422,
    errors.PrecisionUnavailable: 422,
    errors.Overloaded: 429,
    errors.InferenceFailed: 500,
    errors.LoadFailed: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
    errors.NotEnoughMemory: 507,
}
INTERNAL = "internal error; report the request_id"
CLIENT_GONE = 499  # nginx's number; nobody receives it, the log and the metrics show it
REQUEST_ID_CHARACTERS = 64  # of an InferenceId
ERROR_BYTES = contract.ERROR_BODY_BYTES * 2 // 5  # of a message: JSON escapes may double it, and the rest must fit
WATCH_AFTER_SECONDS = 0.05  # a client that leaves is noticed from then on
PARSE_INLINE_BYTES = 65_536  # parsing more than this takes milliseconds, so it leaves the event loop


class Invocation:
    """One POST to /invocations: from its bytes to a response, a log line and metrics, whatever happens."""

    def __init__(self, lifecycle: Lifecycle, request: Request, model_name: str | None = None) -> None:
        """model_name: of a multi-model endpoint's model, for the log."""
        self._lifecycle = lifecycle
        self._request = request
        given_id = request.headers.get("x-amzn-sagemaker-inference-id", "")[:REQUEST_ID_CHARACTERS]
        self._request_id = given_id or uuid.uuid4().hex
        self._trace = Trace()
        self._model_name = model_name
        self._form = "none"

    async def respond(self) -> Response:
        """The response; every error is one too."""
        start = time.perf_counter()
        error: str | None = None
        try:
            response = await self._answer()
        except RequestError as failure:
            response = error_response(failure, self._request_id)
            error = f"{error_type(failure)}: {failure}"
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
            error = "client_gone"
        except Exception:
            log.exception("request %s failed by an error that nobody foresaw", self._request_id)
            response = error_json(500, "internal", INTERNAL, self._request_id)
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
        limit_mb = lifecycle.settings.payload_limit_mb(is_json_lines=False)
        body = b"".join([chunk async for chunk in self._body(limit_mb)])
        content = await self._unless_client_goes(self._json(body, lifecycle.engine.new_ticket()))
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

    async def _json(self, body: bytes, ticket: Ticket) -> bytes:
        start = time.perf_counter()
        if len(body) > PARSE_INLINE_BYTES:
            parsed = await asyncio.to_thread(request_body.parse, body)
        else:
            parsed = request_body.parse(body)
        self._form = parsed.form
        self._trace.took("parse", start)
        answered = await self._lifecycle.engine.answer(parsed.items, ticket, self._trace)
        return orjson.dumps(parsed.body(answered))

    async def _json_lines(self) -> Response:
        """One line out for each line in, in order; a bad line becomes an error object and harms no other."""
        self._form = "jsonlines"
        lifecycle = self._lifecycle
        if not lifecycle.settings.batch:  # a batch has the time to wait
            lifecycle.engine.check_queue()
        ticket = lifecycle.engine.new_ticket()

        async def answer(line: bytes | None) -> bytes:
            try:
                if line is None:
                    raise InvalidRequest(f"the line is longer than {json_lines.LINE_BYTES // 2**20} MiB; split it")
                parsed = request_body.parse(line)
                answered = await lifecycle.engine.answer(parsed.items, ticket, self._trace, is_admitted=True)
                return orjson.dumps(parsed.body(answered))
            except RequestError as failure:
                return orjson.dumps(error_body(error_type(failure), str(failure), self._request_id))
            except Exception:  # one line that meets a mistake of ours must not cost the others theirs
                log.exception("a line of request %s failed by an error that nobody foresaw", self._request_id)
                return orjson.dumps(error_body("internal", INTERNAL, self._request_id))

        limit_mb = lifecycle.settings.payload_limit_mb(is_json_lines=True)
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
        if self._model_name is not None:
            fields["model"] = self._model_name
            fields["target_model"] = self._request.headers.get("x-amzn-sagemaker-target-model")
        if error:
            fields["error"] = error
        log.log(logging.ERROR if status == 500 else logging.INFO, "invocation", extra=fields)


def error_type(failure: RequestError) -> str:
    """DocumentTooLong -> document_too_long."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in type(failure).__name__).lstrip("_")


def error_body(error_type: str, message: str, request_id: str) -> dict[str, str]:
    """The body of every error, at most contract.ERROR_BODY_BYTES."""
    shortened = message.encode()[:ERROR_BYTES].decode(errors="ignore")
    return {"error_type": error_type, "error": shortened, "request_id": request_id}


def error_json(status: int, error_type: str, message: str, request_id: str) -> Response:
    """An error as a response."""
    content = orjson.dumps(error_body(error_type, message, request_id))
    return Response(content, status, media_type=JSON, headers={"x-request-id": request_id})


def error_response(failure: RequestError, request_id: str) -> Response:
    """One of ours as a response, by the table."""
    response = error_json(ERROR_STATUS[type(failure)], error_type(failure), str(failure), request_id)
    if isinstance(failure, Overloaded):
        response.headers["retry-after"] = str(failure.retry_after_seconds)
    return response


async def http_error(_: Request, error: Exception) -> Response:
    """Starlette's own errors (404, 405) in our form."""
    assert isinstance(error, HTTPException)
    error_type = error.detail.lower().replace(" ", "_")
    return error_json(error.status_code, error_type, f"{error.detail}; see /docs", uuid.uuid4().hex)
