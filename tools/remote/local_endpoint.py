"""The HTTP API of SageMaker Runtime on localhost, in front of a server. boto3 code for an endpoint runs unchanged.

    python -m tools.local_endpoint --url http://127.0.0.1:8080 --port 8081
    export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8081

The API has InvokeEndpoint, InvokeEndpointWithResponseStream and InvokeEndpointAsync, with the limits of the platform:
25 MB and 60 s, or 1 GB and an hour for InvokeEndpointAsync. Like the platform, it removes other request headers and
reports an error of the container as a ModelError. It accepts every endpoint name and every signature. It knows no
configuration of an endpoint: the results of InvokeEndpointAsync go to async-output/ and async-failure/ in the bucket of
the request, and TargetModel is ignored, because there is one server with one model. Without --folder,
InvokeEndpointAsync needs AWS credentials, a region and the S3 endpoint of the caller in this terminal.
"""

import argparse
import errno
import json
import logging
import socket
import struct
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from container.contract import ERROR_BODY_BYTES, MAX_PAYLOAD_MB, RESPONSE_TIMEOUT_SECONDS
from tools.errors import ToolError
from tools.local_server import free_port
from tools.remote.async_invocation import ATTRIBUTE_HEADERS, AsyncInvocation, raw_headers
from tools.remote.object_store import FolderStore, ObjectStore, S3Store

# These headers reach the container and come back from it. The platform removes all others.
_REQUEST_HEADERS = ("content-type", "accept", *ATTRIBUTE_HEADERS)
_RESPONSE_HEADERS = ("content-type", "x-amzn-sagemaker-custom-attributes")
_STRING = 7  # The code for a header of type string in AWS's event stream encoding.
HOST = "127.0.0.1"
START_SECONDS = 10
ASYNC_MAX_BYTES = 10**9
ASYNC_TIMEOUT_SECONDS = 3600

log = logging.getLogger(__name__)


class RuntimeApi:
    """The three operations of SageMaker Runtime, answered by the server at `url`.

    InvokeEndpointAsync reads and writes objects in `store`, or in S3 if `store` is None.
    """

    def __init__(self, url: str, store: ObjectStore | None, timeout_seconds: float) -> None:
        self._url = url
        self._store = store
        self._timeout_seconds = timeout_seconds

    async def invoke(self, request: Request) -> Response:
        """Answer InvokeEndpoint."""
        answer = await self._answer(request, "accept")
        if isinstance(answer, Response):
            return answer
        headers = {name: answer.headers[name] for name in _RESPONSE_HEADERS if name in answer.headers}
        variant = request.headers.get("x-amzn-sagemaker-target-variant", "AllTraffic")
        return Response(answer.content, headers={**headers, **_platform_headers(variant)})

    async def invoke_with_response_stream(self, request: Request) -> Response:
        """Answer InvokeEndpointWithResponseStream with a stream of one event."""
        answer = await self._answer(request, "x-amzn-sagemaker-accept")
        if isinstance(answer, Response):
            return answer
        types = {"x-amzn-sagemaker-content-type": answer.headers.get("content-type", "")}
        headers = {**_platform_headers(), **types, "content-type": "application/vnd.amazon.eventstream"}
        return Response(_event(answer.content), headers=headers)

    async def invoke_async(self, request: Request) -> Response:
        """Answer InvokeEndpointAsync: accept the request at once, and ask the container afterwards."""
        try:
            invocation = AsyncInvocation.of(request)
            store = self._store or S3Store()
        except ToolError as error:
            return _error(400, "ValidationError", {"Message": str(error)})
        inference_id = request.headers.get("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())
        headers = {
            **_platform_headers(),
            "content-type": "application/json",
            "x-amzn-sagemaker-outputlocation": invocation.output_uri,
            "x-amzn-sagemaker-failurelocation": invocation.failure_uri,
        }
        later = BackgroundTask(self._answer_later, invocation, store)
        return Response(json.dumps({"InferenceId": inference_id}), 202, headers, background=later)

    async def _answer(self, request: Request, accept: str) -> httpx.Response | Response:
        """Return the container's answer, or the platform's own response if there is no answer to pass on.

        Args:
            request: the request to the API.
            accept: the name of the header that holds the media type of the answer.
        """
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
            return _error(403, "MissingAuthenticationTokenException", {"Message": "Missing Authentication Token"})
        body = await request.body()
        if len(body) > MAX_PAYLOAD_MB * 2**20:
            return _error(413, "ValidationError", {"Message": f"the payload is larger than {MAX_PAYLOAD_MB} MB"})
        headers = {name: value for name, value in request.headers.items() if name in _REQUEST_HEADERS}
        if request.headers.get(accept):
            headers["accept"] = request.headers[accept]
        try:
            answer = await self._ask_container(body, raw_headers(headers), self._timeout_seconds)
        except httpx.HTTPError as error:
            return _model_error(0, f"the container does not answer: {type(error).__name__}")
        return answer if answer.status_code == httpx.codes.OK else _model_error(answer.status_code, answer.text)

    async def _answer_later(self, invocation: AsyncInvocation, store: ObjectStore) -> None:
        """Ask the container, and write its answer to the output, or what went wrong to the failure object.

        The caller has its 202 and waits for one of these two objects, so every error must end in one of them.
        """
        target = invocation.failure_uri
        try:
            body = await run_in_threadpool(store.read, invocation.input_uri, ASYNC_MAX_BYTES)
            answer = await self._ask_container(body, invocation.headers, ASYNC_TIMEOUT_SECONDS)
            content = answer.content
            if answer.status_code == httpx.codes.OK:
                target = invocation.output_uri
        except Exception as error:
            content = f"{type(error).__name__}: {error}".encode(errors="replace")
            if not isinstance(error, (ToolError, httpx.HTTPError)):
                log.exception("InvokeEndpointAsync failed because of an unexpected error")
        try:
            await run_in_threadpool(store.write, target, content)
        except ToolError as error:
            log.error("the result of InvokeEndpointAsync is lost: %s", error)

    async def _ask_container(self, body: bytes, headers: dict[bytes, bytes], timeout_seconds: float) -> httpx.Response:
        async with httpx.AsyncClient(timeout=timeout_seconds) as client:
            answer = await client.post(f"{self._url}/invocations", content=body, headers=headers)
        answer.headers.encoding = "latin-1"  # as starlette encodes the headers that are passed on
        return answer


def application(
    url: str, store: ObjectStore | None = None, timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS
) -> Starlette:
    """Return the web application of the API in front of the server at `url`."""
    api = RuntimeApi(url, store, timeout_seconds)
    return Starlette(
        routes=[
            Route("/endpoints/{name}/async-invocations", api.invoke_async, methods=["POST"]),
            Route("/endpoints/{name}/invocations", api.invoke, methods=["POST"]),
            Route("/endpoints/{name}/invocations-response-stream", api.invoke_with_response_stream, methods=["POST"]),
        ]
    )


@contextmanager
def running(url: str, store: ObjectStore | None = None) -> Iterator[str]:
    """Run the API on a free port, in a thread of this process, and yield its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application(url, store), host=HOST, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if time.monotonic() > deadline:
            raise ToolError(f"the API did not open port {port} within {START_SECONDS} s")
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def _platform_headers(variant: str = "AllTraffic") -> dict[str, str]:
    return {"x-amzn-invoked-production-variant": variant, "x-amzn-requestid": str(uuid.uuid4())}


def _model_error(status: int, message: str) -> Response:
    """Return the response by which the platform reports a 4xx or 5xx status of the container."""
    body = {
        "Message": f"Received client or server error ({status}) from primary with message {message[:1024]!r}",
        "OriginalStatusCode": status,
        "OriginalMessage": message[:ERROR_BODY_BYTES],
        "LogStreamArn": "",
    }
    return _error(424, "ModelError", body)


def _error(status: int, error_type: str, body: dict[str, object]) -> Response:
    headers = {"x-amzn-errortype": error_type, "content-type": "application/json", **_platform_headers()}
    return Response(json.dumps(body), status, headers)


def _event(payload: bytes) -> bytes:
    """Encode one PayloadPart of AWS's event stream: lengths, their checksum, headers, payload, checksum of it all."""
    fields = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value)) + value.encode()
        for name, value in fields.items()
    )
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _check_port(port: int) -> None:
    """Check that the API can listen on a port. Raises: ToolError."""
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        problem = f"port {port} is in use: stop the other program, or" if in_use else f"port {port} cannot be opened:"
        raise ToolError(f"{problem} name another port with --port") from None


def main() -> None:
    """Run the API until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.local_endpoint",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the server that answers (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="the port of the API (default: %(default)s)")
    parser.add_argument(
        "--folder",
        type=Path,
        help="for InvokeEndpointAsync: s3://bucket/key is the file FOLDER/bucket/key (default: use S3)",
    )
    arguments = parser.parse_args()
    store = FolderStore(arguments.folder) if arguments.folder else None
    _check_port(arguments.port)
    uvicorn.run(application(arguments.url.rstrip("/"), store), host=HOST, port=arguments.port)
