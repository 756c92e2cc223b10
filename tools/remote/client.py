"""POST /invocations of a server by its URL, or of a SageMaker endpoint by its name: bytes there, bytes back."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tools.errors import ToolError

if TYPE_CHECKING:
    from tools.remote.aws import Aws

TIMEOUT_SECONDS = 70  # AWS's advice for endpoints, which give up after 60
ATTEMPTS = 20  # of a request that is refused because all is busy
BUSY = httpx.codes.TOO_MANY_REQUESTS
_JSON = "application/json"
_RUNTIME = "sagemaker-runtime"


class Server:
    """One by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS)

    def __call__(self, body: bytes) -> bytes:
        """The answer's body.

        Raises: ToolError.
        """
        for _ in range(ATTEMPTS):
            response = self._send("POST", "/invocations", content=body, headers={"Content-Type": _JSON})
            if response.status_code == httpx.codes.OK:
                return response.content
            if response.status_code != BUSY:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        raise _refused(self.url, response.status_code, response.text)

    def info(self) -> dict[str, Any]:
        """Its /info.

        Raises: ToolError.
        """
        response = self._send("GET", "/info")
        with suppress(ValueError, AttributeError):
            info: dict[str, Any] = response.json()
            if response.status_code == httpx.codes.OK and {"is_warm", "precisions"} <= info.keys():
                return info
        raise ToolError(f"{self.url}/info is not this project's: is another server running there?")

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._client.request(method, f"{self.url}{path}", **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).partition("\n")[0]  # httpx's own second line is a link
            raise ToolError(f"cannot ask {self.url}: {reason}. Is the server running?") from None


@dataclass(frozen=True)
class Configuration:
    """What an endpoint runs on. variants: by name, their instance type (empty: serverless) and how many of them."""

    arn: str
    name: str
    variants: Mapping[str, tuple[str, int]]


class Endpoint:
    """One of SageMaker's, real-time or serverless, with the credentials of the environment. Also tools.load's Wire."""

    def __init__(
        self, name: str, region: str | None = None, variant: str | None = None, aws: "Aws | None" = None
    ) -> None:
        """variant: the one to ask; by default the traffic's weights choose."""
        from tools.remote.aws import Aws  # boto3 is no part of the image, where the other sources work without it

        self.name = name
        self.variant = variant
        self._aws = aws or Aws(region)

    def __call__(self, body: bytes) -> bytes:
        """The answer's body.

        Raises: ToolError; what the container said stands in it.
        """
        from tools.remote.aws import AwsError

        target = {"TargetVariant": self.variant} if self.variant else {}
        request = {"EndpointName": self.name, "ContentType": _JSON, "Accept": _JSON, **target}
        for _ in range(ATTEMPTS):
            try:
                answer: bytes = self._aws.call(_RUNTIME, "InvokeEndpoint", Body=body, **request)["Body"].read()
                return answer
            except AwsError as error:
                status, said = _original(error.response)
                if error.code == "ModelNotReadyException":  # a serverless endpoint that wakes up
                    status, said = BUSY, error.message
                if status != BUSY:
                    raise (_refused(self.name, status, said) if status else error) from None
            time.sleep(1)
        raise _refused(self.name, BUSY, said)

    def only(self, variant: str) -> "Endpoint":
        """The same, but this variant of it."""
        one = copy(self)
        one.variant = variant
        return one

    def configuration(self) -> Configuration | None:
        """What it runs on now; None where the caller may not see that."""
        from tools.remote.aws import AwsError

        try:
            found = self._aws.call("sagemaker", "DescribeEndpoint", EndpointName=self.name)
            name = found["EndpointConfigName"]
            variants = self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)
        except AwsError:
            return None
        counts = {one["VariantName"]: one.get("CurrentInstanceCount") for one in found.get("ProductionVariants", [])}
        return Configuration(
            found["EndpointArn"],
            name,
            {
                one["VariantName"]: (
                    one.get("InstanceType", ""),
                    counts.get(one["VariantName"]) or one.get("InitialInstanceCount", 0),
                )
                for one in variants["ProductionVariants"]
            },
        )

    @property
    def url(self) -> str:
        """Where AWS answers for it, without /invocations."""
        return f"{self._aws.url(_RUNTIME)}/endpoints/{self.name}"

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Of a signed request."""
        target = {"X-Amzn-SageMaker-Target-Variant": self.variant} if self.variant else {}
        return self._aws.signed(_RUNTIME, url, body, {"Content-Type": _JSON, "Accept": _JSON, **target})

    def status(self, status: int, content: bytes) -> int:
        """The container's own, in a ModelError."""
        with suppress(ValueError, TypeError, AttributeError):
            if status == httpx.codes.FAILED_DEPENDENCY:
                return _original(json.loads(content))[0] or status
        return status


def _original(response: Mapping[str, object]) -> tuple[int, str]:
    """ModelError's own status and message of the container; 0 for other errors."""
    status = response.get("OriginalStatusCode")
    return (status if isinstance(status, int) else 0), str(response.get("OriginalMessage", ""))


def _refused(name: str, status: int, text: str) -> ToolError:
    with suppress(ValueError, KeyError, TypeError):  # what is no error of this project's server is shown as it is
        text = json.loads(text)["error"]
    return ToolError(f"{name} answers {status}: {text}")
