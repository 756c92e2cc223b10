"""Answer one POST request with questions: turn its bytes into a response, a log line and metrics."""

import asyncio
import logging
import time

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from serve.api import custom_attributes, request_body
from serve.api.disconnect import cancel_on_disconnect
from serve.api.error_response import error_response, error_type
from serve.api.json_lines import LineAnswerer, SpooledAnswers
from serve.api.media_type import JSON, JSON_LINES, check_accept, request_media_type
from serve.api.request_log import RequestRecord
from serve.errors import NotReady, RequestError
from serve.lanes.admission import Permit
from serve.lifecycle import Lifecycle, State

log = logging.getLogger("request")

CLIENT_GONE = 499  # nginx's status for a client that has disconnected; only the log line and the metrics show it
PARSE_INLINE_BYTES = 65_536  # parsing a larger body takes milliseconds, so a thread does it beside the event loop


class Invocation:
    """One POST request with questions for one model."""

    def __init__(self, lifecycle: Lifecycle, request: Request, model_name: str | None = None) -> None:
        """model_name: the name of the model on a multi-model endpoint, for the log line."""
        self._lifecycle = lifecycle
        self._request = request
        self._record = RequestRecord.begin(request.headers, model_name)

    async def respond(self) -> Response:
        """Return the response to the request. Every error becomes a response too."""
        start = time.perf_counter()
        record = self._record
        error: str | None = None
        try:
            response = await self._answer()
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
            error = "client_gone"
        except RequestError as failure:
            response = error_response(failure, record.request_id)
            error = f"{error_type(failure)}: {failure}"
        except Exception as failure:
            log.exception("request %s failed with an unexpected error", record.request_id)
            response = error_response(failure, record.request_id)
            error = error_type(failure)
        given = self._request.headers.get(custom_attributes.HEADER)
        response.headers[custom_attributes.HEADER] = custom_attributes.with_request_id(given, record.request_id)
        record.trace.took("total", start)
        # The response goes out first; the log line is written in the next iteration of the event loop.
        asyncio.get_running_loop().call_soon(record.write, self._lifecycle.metrics, response.status_code, error)
        return response

    async def _answer(self) -> Response:
        lifecycle, headers = self._lifecycle, self._request.headers
        media_type = request_media_type(headers.get("content-type"), headers.get("content-encoding"))
        check_accept(headers.get("accept"), media_type)
        if not lifecycle.is_healthy and lifecycle.state is not State.DRAINING:
            raise NotReady(f"the server cannot answer now (state: {lifecycle.state}); try again when /ping returns 200")
        return await (self._answer_json() if media_type == JSON else self._answer_json_lines())

    async def _answer_json(self) -> Response:
        limit_mb = self._lifecycle.settings.payload_limit_mb(is_json_lines=False)
        body = b"".join([piece async for piece in request_body.read(self._request, limit_mb)])
        permit = self._lifecycle.engine.admission.issue_permit()
        content = await cancel_on_disconnect(self._request, self._answer_object(body, permit))
        return Response(content, media_type=JSON, headers={"x-request-id": self._record.request_id})

    async def _answer_object(self, body: bytes, permit: Permit) -> bytes:
        record = self._record
        start = time.perf_counter()
        if len(body) > PARSE_INLINE_BYTES:
            parsed = await asyncio.to_thread(request_body.parse, body)
        else:
            parsed = request_body.parse(body)
        record.form = parsed.form
        record.trace.took("parse", start)
        answered = await self._lifecycle.engine.answer(parsed.questions, permit, record.trace)
        return orjson.dumps(parsed.response_body(answered))

    async def _answer_json_lines(self) -> Response:
        """Answer each line with a line, in order."""
        settings, engine, record = self._lifecycle.settings, self._lifecycle.engine, self._record
        record.form = "jsonlines"
        permit = engine.admission.issue_permit(is_stream=True)
        lines = LineAnswerer(engine, permit, record.trace, record.request_id)
        answers = SpooledAnswers(lines.answer)
        try:
            await answers.read(request_body.read(self._request, settings.payload_limit_mb(is_json_lines=True)))
            await cancel_on_disconnect(self._request, answers.finish())
        except BaseException:
            answers.cancel()
            raise
        headers = {"x-request-id": record.request_id, "content-length": str(answers.size_bytes)}
        return StreamingResponse(answers.stream(), media_type=JSON_LINES, headers=headers)
