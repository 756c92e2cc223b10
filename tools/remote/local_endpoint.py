"""SageMaker Runtime's HTTP API on localhost, in front of a server: boto3 code for an endpoint runs unchanged.

    python -m tools.local_endpoint --url http://127.0.0.1:8080 --port 8081
    export AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8081

InvokeEndpoint, its response stream, and InvokeEndpointAsync, with the platform's limits: 25 MB and 60 s, 1 GB and an
hour in async; headers stripped, errors as ModelError. Every endpoint name is answered, and every signature is taken.
"""

import argparse
import json
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
from tools.errors import ToolError, run
from tools.local_server import free_port
from tools.remote.object_store import S3, Folder, ObjectStore, split

# What InvokeEndpoint passes on to the container; all else is stripped.
_PASSED = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
_RETURNED = ("content-type", "x-amzn-sagemaker-custom-attributes")
_STRING = 7  # the event stream's type of header
START_SECONDS = 10
ASYNC_MAX_BYTES = 10**9
ASYNC_TIMEOUT_SECONDS = 3600
_INPUT = "x-amzn-sagemaker-inputlocation"


def application(
    url: str, store: ObjectStore | None = None, timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS
) -> Starlette:
    """The API in front of the server at url. store: where InvokeEndpointAsync reads and writes; S3 where None."""

    async def invoke(request: Request) -> Response:
        found = await _ask(url, request, "accept", timeout_seconds)
        if isinstance(found, Response):
            return found
        kept = {name: found.headers[name] for name in _RETURNED if name in found.headers}
        variant = request.headers.get("x-amzn-sagemaker-target-variant", "AllTraffic")
        return Response(found.content, headers={**kept, **_platform_headers(variant)})

    async def stream(request: Request) -> Response:
        found = await _ask(url, request, "x-amzn-sagemaker-accept", timeout_seconds)
        if isinstance(found, Response):
            return found
        types = {"x-amzn-sagemaker-content-type": found.headers.get("content-type", "")}
        headers = {**_platform_headers(), **types, "content-type": "application/vnd.amazon.eventstream"}
        return Response(_event(found.content), headers=headers)

    async def invoke_later(request: Request) -> Response:
        source = request.headers.get(_INPUT, "")
        try:
            bucket, _ = split(source)
            objects = store or S3()
        except ToolError as error:
            return _error(400, "ValidationError", {"Message": str(error)})
        inference_id = request.headers.get("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())
        name = f"s3://{bucket}/async-{{}}/{uuid.uuid4()}.out"
        done, failed = name.format("output"), name.format("failure")
        asked = {
            "content-type": request.headers.get("x-amzn-sagemaker-content-type", ""),
            "accept": request.headers.get("x-amzn-sagemaker-accept", ""),
            **{header: request.headers[header] for header in _PASSED[2:] if header in request.headers},
        }
        headers = {header: value for header, value in asked.items() if value}
        return Response(
            json.dumps({"InferenceId": inference_id}),
            202,
            {
                **_platform_headers(),
                "content-type": "application/json",
                "x-amzn-sagemaker-outputlocation": done,
                "x-amzn-sagemaker-failurelocation": failed,
            },
            background=BackgroundTask(_answer_later, url, objects, source, headers, done, failed),
        )

    return Starlette(
        routes=[
            Route("/endpoints/{name}/async-invocations", invoke_later, methods=["POST"]),
            Route("/endpoints/{name}/invocations", invoke, methods=["POST"]),
            Route("/endpoints/{name}/invocations-response-stream", stream, methods=["POST"]),
        ]
    )


async def _ask(url: str, request: Request, accept: str, timeout_seconds: float) -> httpx.Response | Response:
    """The container's answer, or what the platform says in its place. accept: the header that names the type."""
    if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
        return _error(403, "MissingAuthenticationTokenException", {"Message": "Missing Authentication Token"})
    body = await request.body()
    if len(body) > MAX_PAYLOAD_MB * 2**20:
        return _error(413, "ValidationError", {"Message": f"the payload is larger than {MAX_PAYLOAD_MB} MB"})
    headers = {name: value for name, value in request.headers.items() if name in _PASSED}
    if request.headers.get(accept):
        headers["accept"] = request.headers[accept]
    try:
        async with httpx.AsyncClient(timeout=timeout_seconds) as client:
            found = await client.post(f"{url}/invocations", content=body, headers=headers)
    except httpx.TransportError as error:
        return _model_error(0, f"the container does not answer: {type(error).__name__}")
    return found if found.status_code == httpx.codes.OK else _model_error(found.status_code, found.text)


async def _answer_later(  # noqa: PLR0913  where from, what, and the two places where it may end
    url: str, store: ObjectStore, source: str, headers: dict[str, str], done: str, failed: str
) -> None:
    """Ask the container, and write its answer or what went wrong."""
    target, content = failed, b""
    try:
        body = await run_in_threadpool(store.read, source)
        if len(body) > ASYNC_MAX_BYTES:
            raise ToolError(f"{source} is larger than 1 GB")
        async with httpx.AsyncClient(timeout=ASYNC_TIMEOUT_SECONDS) as client:
            found = await client.post(f"{url}/invocations", content=body, headers=headers)
        content = found.content
        target = done if found.status_code == httpx.codes.OK else failed
    except (ToolError, httpx.TransportError) as error:
        content = f"{type(error).__name__}: {error}".encode()
    await run_in_threadpool(store.write, target, content)


@contextmanager
def running(url: str, store: ObjectStore | None = None) -> Iterator[str]:
    """The API on a free port in a thread of this process; gives its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application(url, store), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if time.monotonic() > deadline:
            raise ToolError(f"port {port} could not be opened within {START_SECONDS} s")
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def _platform_headers(variant: str = "AllTraffic") -> dict[str, str]:
    return {"x-amzn-invoked-production-variant": variant, "x-amzn-requestid": str(uuid.uuid4())}


def _model_error(status: int, message: str) -> Response:
    """What the container's 4xx and 5xx become."""
    body = {
        "Message": f"Received client or server error ({status}) from primary with message {message[:1024]!r}",
        "OriginalStatusCode": status,
        "OriginalMessage": message[:ERROR_BODY_BYTES],
        "LogStreamArn": "",
    }
    return _error(424, "ModelError", body)


def _error(status: int, kind: str, body: dict[str, object]) -> Response:
    headers = {"x-amzn-errortype": kind, "content-type": "application/json", **_platform_headers()}
    return Response(json.dumps(body), status, headers)


def _event(payload: bytes) -> bytes:
    """One PayloadPart in AWS's event stream: lengths, checksum, headers, payload, checksum."""
    fields = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value)) + value.encode()
        for name, value in fields.items()
    )
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", zlib.crc32(lengths)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the server (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8081, help="to listen on (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="InvokeEndpointAsync: s3://bucket/key is FOLDER/bucket/key (default: S3 itself)"
    )
    given = parser.parse_args()
    store = Folder(given.folder) if given.folder else None
    uvicorn.run(application(given.url.rstrip("/"), store), host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    run(main)
