"""The response to a request that never reaches the application, because its head cannot be accepted."""

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from serve.api.error_response import error_response, log_text, refusal_of
from serve.api.request_log import RequestRecord
from serve.request_metrics import RequestMetrics


class Refusal:
    """An ASGI application that answers one request with an error, writes its log line, and counts it."""

    def __init__(self, error: Exception, metrics: RequestMetrics) -> None:
        self._error = error
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the error, with what is known of the request: its head may be incomplete."""
        headers = Headers(scope=scope)
        record = RequestRecord.begin(headers, model_name=None)
        response = error_response(self._error, record.request_id)
        record.identify(response, headers)
        await response(scope, receive, send)
        record.refusal = refusal_of(self._error)
        record.write(self._metrics, response.status_code, log_text(self._error))
