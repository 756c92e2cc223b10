"""One request of SageMaker's InvokeEndpointAsync, as tools.remote.local_endpoint accepts it."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from tools.remote.object_store import split_s3_uri

ATTRIBUTE_HEADERS = ("x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id")
_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")  # the naming rules of S3
# An endpoint of the platform has a fixed place for its results. Here they go to the bucket of the input, or to this
# bucket if the input names none that can exist.
RESULTS_BUCKET = "local-endpoint"


@dataclass(frozen=True)
class AsyncInvocation:
    """One request of InvokeEndpointAsync: the object to read, the container's headers, and where the result goes."""

    input_uri: str
    headers: dict[bytes, bytes]
    output_uri: str
    failure_uri: str

    @staticmethod
    def of(request: Request) -> "AsyncInvocation":
        """Read the request's headers.

        Raises: ToolError if the header with the input's address does not hold the URI of an object.
        """
        # boto3 sends UTF-8 where starlette, like HTTP, reads Latin-1.
        input_uri = _raw(request.headers.get("x-amzn-sagemaker-inputlocation", "")).decode(errors="replace")
        bucket, _ = split_s3_uri(input_uri)
        if not _BUCKET.fullmatch(bucket):
            bucket = RESULTS_BUCKET
        headers = {
            "content-type": request.headers.get("x-amzn-sagemaker-content-type", ""),
            "accept": request.headers.get("x-amzn-sagemaker-accept", ""),
            **{name: request.headers[name] for name in ATTRIBUTE_HEADERS if name in request.headers},
        }
        name = f"{uuid.uuid4()}.out"
        return AsyncInvocation(
            input_uri,
            raw_headers({name: value for name, value in headers.items() if value}),
            f"s3://{bucket}/async-output/{name}",
            f"s3://{bucket}/async-failure/{name}",
        )


def _raw(value: str) -> bytes:
    return value.encode("latin-1")


def raw_headers(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return headers as they were sent. httpx would refuse to encode letters outside of ASCII."""
    return {_raw(name): _raw(value) for name, value in headers.items()}
