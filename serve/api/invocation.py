"""Answer one POST request with questions: turn its bytes into a response, a log line and metrics."""

import functools
import logging
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from serve.api import custom_attributes
from serve.api.body.read import read
from serve.api.disconnect import cancel_on_disconnect
from serve.api.error_response import error_response, log_text, refusal_of
from serve.api.json_lines.answers import LineAnswerer, SpooledAnswers
from serve.api.media_type import JSON, JSON_LINES, check_accept, field_of, request_media_type
from serve.api.object_answerer import ObjectAnswerer
from serve.api.request_log import CLIENT_GONE, RequestRecord
from serve.errors import NotReady, RequestError
from serve.lanes.admission import Permit
from serve.lifecycle import Lifecycle
from serve.servable import State
from serve.tracing import context as trace_context

log = logging.getLogger("request")


class JsonAnswer(Response):
    """The answer to a JSON request, with its headers. starlette's own response takes longer to put them together."""

    def __init__(self, content: bytes, record: RequestRecord, given_attributes: str | None) -> None:
        """given_attributes: the custom attributes of the request."""
        attributes = custom_attributes.with_request_id(given_attributes, record.request_id)
        self.status_code = 200
        self.background = None
        self.body = content
        self.raw_headers = [
            (b"x-request-id", record.request_id.encode("latin-1")),
            (b"content-length", b"%d" % len(content)),
            (b"content-type", b"application/json"),
            (custom_attributes.HEADER_BYTES, attributes.encode("latin-1")),
        ]
        if record.context:
            self.raw_headers.append((trace_context.HEADER_BYTES, record.context.header.encode()))


class Invocation:
    """One POST request with questions for one model."""

    def __init__(self, lifecycle: Lifecycle, request: Request, model_name: str | None = None) -> None:
        """model_name: the name of the model on a multi-model endpoint, for the log line."""
        self._lifecycle = lifecycle
        self._request = request
        self._record = RequestRecord.begin(request.headers, model_name, lifecycle.tracer)

    async def respond(self) -> Response:
        """Return the response to the request. Every error becomes a response too."""
        record, afterwards = self._record, self._lifecycle.afterwards
        error: str | None = None
        afterwards.begin()
        try:
            response = await self._answer()
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)
            error = "client_gone"
        except RequestError as failure:
            response = error_response(failure, record.request_id)
            error = log_text(failure)
            record.refusal = refusal_of(failure)
        except Exception as failure:
            log.exception("request %s failed with an unexpected error", record.request_id)
            response = error_response(failure, record.request_id)
            error = log_text(failure)
        except BaseException:
            afterwards.end(lambda: None)  # the server is stopping, and nobody waits for the answer
            raise
        if not isinstance(response, JsonAnswer):
            record.identify(response, self._request.headers)
        record.trace.total_seconds = time.perf_counter() - record.began_at
        afterwards.end(functools.partial(record.write, self._lifecycle.metrics, response.status_code, error))
        return response

    async def _answer(self) -> Response:
        lifecycle, headers = self._lifecycle, self._request.headers
        media_type = request_media_type(field_of(headers, "content-type"), field_of(headers, "content-encoding"))
        check_accept(field_of(headers, "accept"), media_type)
        if not lifecycle.is_healthy and lifecycle.state is not State.DRAINING:
            raise NotReady(f"the server cannot answer now (state: {lifecycle.state}); try again when /ping returns 200")
        return await (self._answer_json() if media_type == JSON else self._answer_json_lines())

    async def _answer_json(self) -> Response:
        limit_mb = self._lifecycle.settings.payload_limit_mb(is_json_lines=False)
        start = time.perf_counter()
        body = [piece async for piece in read(self._request, limit_mb)]
        self._record.trace.took("read", start)
        log.debug("request %s has arrived, with a body of %d bytes", self._record.request_id, sum(map(len, body)))
        permit = self._lifecycle.engine.admission.issue_permit()
        content = await cancel_on_disconnect(self._request, self._answer_object(body, permit))
        given = self._request.headers.get(custom_attributes.HEADER)
        return JsonAnswer(content, self._record, given)

    async def _answer_object(self, body: list[bytes], permit: Permit) -> bytes:
        answerer = ObjectAnswerer(self._lifecycle, permit, self._record.trace)
        return await answerer.answer(body)

    async def _answer_json_lines(self) -> Response:
        """Answer each line with a line, in order."""
        settings, record = self._lifecycle.settings, self._record
        record.trace.note_form("jsonlines")
        permit = self._lifecycle.engine.admission.issue_permit(is_stream=True)
        lines = LineAnswerer(ObjectAnswerer(self._lifecycle, permit, record.trace), record.request_id)
        answers = SpooledAnswers(lines.answer, settings.max_spool_mb)
        body = read(self._request, settings.payload_limit_mb(is_json_lines=True))
        try:
            async with self._lifecycle.engine.until_deadline(permit):
                await answers.read(body)
                await cancel_on_disconnect(self._request, answers.finish())
        except BaseException:
            answers.cancel()
            raise
        headers = {"content-length": str(answers.size_bytes)}
        return StreamingResponse(answers.stream(), media_type=JSON_LINES, headers=headers)
