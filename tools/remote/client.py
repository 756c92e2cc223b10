"""Clients for POST /invocations: of a server by its URL, or of a SageMaker endpoint by its name."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tools.errors import RequestRefused, ToolError

if TYPE_CHECKING:
    from tools.remote.aws import Aws
    from tools.remote.instance_prices import Price

TIMEOUT_SECONDS = 70  # Endpoints give up after 60 s, and AWS advises clients to wait a little longer.
ATTEMPTS = 20  # How often a request is sent while the server answers that it is busy.
MAX_REASON = 2_048  # characters; this project's errors are shorter, but a proxy may send a page
BUSY = httpx.codes.TOO_MANY_REQUESTS
_JSON = "application/json"
_RUNTIME = "sagemaker-runtime"


class ServerClient:
    """A client of one server."""

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, headers=headers)

    def __call__(self, body: bytes) -> bytes:
        """Send a request body to /invocations and return the response body. Try again while the server is busy.

        Raises: ToolError.
        """
        for _ in range(ATTEMPTS):
            response = self._send("POST", "/invocations", content=body, headers={"Content-Type": _JSON})
            if response.status_code == httpx.codes.OK:
                return response.content
            if response.status_code != BUSY:
                break
            time.sleep(_wait_seconds(response.headers.get("Retry-After", "")))
        raise _error_answer(self.url, response.status_code, response.text)

    def info(self) -> dict[str, Any]:
        """Return the server's /info.

        Raises: ToolError, also if the response is not from a server of this project.
        """
        response = self._send("GET", "/info")
        with suppress(ValueError, AttributeError):
            info: dict[str, Any] = response.json()
            if response.status_code == httpx.codes.OK and {"is_warm", "precisions"} <= info.keys():
                return info
        raise ToolError(f"{self.url}/info does not look like this project's server: does another server run there?")

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._client.request(method, f"{self.url}{path}", **content)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error).partition("\n")[0]  # httpx adds a second line, which is only a link
            raise ToolError(f"cannot reach {self.url}: {reason}. Is the server running?") from None


@dataclass(frozen=True)
class EndpointConfiguration:
    """The configuration that an endpoint uses now.

    `variants` maps the name of a variant to its instance type and its number of instances. The instance type of a
    serverless variant is empty.
    """

    arn: str
    name: str
    variants: Mapping[str, tuple[str, int]]


class EndpointClient:
    """A client of one SageMaker endpoint, real-time or serverless, with the AWS credentials of the environment.

    The load generator of the benchmark sends its requests by itself. It takes `url`, `headers` and `status` from here.
    """

    def __init__(
        self, name: str, region: str | None = None, variant: str | None = None, aws: "Aws | None" = None
    ) -> None:
        """Send requests to `variant`, or let SageMaker choose a variant by the weights of the traffic if it is None."""
        from tools.remote.aws import Aws  # The image has no boto3, and ServerClient must work there all the same.

        self.name = name
        self.variant = variant
        self.model = ""
        self._aws = aws or Aws(region)

    def __call__(self, body: bytes) -> bytes:
        """Send a request body to the endpoint and return the response body. Try again while the endpoint is busy.

        Raises: ToolError, which quotes the container's own message if the container refused the request.
        """
        from tools.remote.aws import AwsError

        target = {"TargetVariant": self.variant} if self.variant else {}
        if self.model:
            target["TargetModel"] = self.model
        request = {"EndpointName": self.name, "ContentType": _JSON, "Accept": _JSON, **target}
        for _ in range(ATTEMPTS):
            try:
                answer: bytes = self._aws.call(_RUNTIME, "InvokeEndpoint", Body=body, **request)["Body"].read()
                return answer
            except AwsError as error:
                status, message = _container_error(error.response)
                if error.code == "ModelNotReadyException":  # A serverless endpoint starts its container.
                    status, message = BUSY, error.message
                if status != BUSY:
                    raise (_error_answer(self.name, status, message) if status else error) from None
            time.sleep(1)
        raise _error_answer(self.name, BUSY, message)

    def for_variant(self, variant: str) -> "EndpointClient":
        """Return a client of the same endpoint that sends its requests to this variant."""
        client = copy(self)
        client.variant = variant
        return client

    def for_model(self, model: str) -> "EndpointClient":
        """Return a client that asks this model of a multi-model endpoint, such as demo.tar.gz."""
        client = copy(self)
        client.model = model
        return client

    def configuration(self) -> EndpointConfiguration | None:
        """Return the configuration that the endpoint uses now, or None if the caller may not read it."""
        from tools.remote.aws import AwsError

        try:
            endpoint = self._aws.call("sagemaker", "DescribeEndpoint", EndpointName=self.name)
            name = endpoint["EndpointConfigName"]
            config = self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)
        except AwsError:
            return None
        running = {v["VariantName"]: v.get("CurrentInstanceCount") for v in endpoint.get("ProductionVariants", [])}
        variants = {
            variant["VariantName"]: (
                instance_types_of(variant),
                running.get(variant["VariantName"]) or variant.get("InitialInstanceCount", 0),
            )
            for variant in config["ProductionVariants"]
        }
        return EndpointConfiguration(endpoint["EndpointArn"], name, variants)

    def price_of(self, instance: str) -> "Price | None":
        """Return AWS's price of an instance type in the endpoint's region, or None if it cannot be read."""
        from tools.remote.price_list import find_price

        return find_price(self._aws, instance)

    @property
    def url(self) -> str:
        """The endpoint's URL in SageMaker Runtime's API, without /invocations."""
        return f"{self._aws.endpoint_url(_RUNTIME)}/endpoints/{self.name}"

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Return the headers of a signed request."""
        target = {"X-Amzn-SageMaker-Target-Variant": self.variant} if self.variant else {}
        return self._aws.sign(_RUNTIME, url, body, {"Content-Type": _JSON, "Accept": _JSON, **target})

    def status(self, status: int, content: bytes) -> int:
        """Return the status of the container's response, which AWS wraps in a ModelError if it is not 200."""
        with suppress(ValueError, TypeError, AttributeError):
            if status == httpx.codes.FAILED_DEPENDENCY:
                return _container_error(json.loads(content))[0] or status
        return status


def instance_types_of(variant: Mapping[str, Any]) -> str:
    """Return the instance type of a variant as AWS describes it, or those of its pools, separated by commas.

    A serverless variant has none: the result is "".
    """
    pools = sorted(variant.get("InstancePools") or (), key=lambda pool: int(pool["Priority"]))
    return ",".join(str(pool["InstanceType"]) for pool in pools) or str(variant.get("InstanceType", ""))


def _container_error(response: Mapping[str, object]) -> tuple[int, str]:
    """Return the container's status and message from a ModelError, or status 0 for any other error."""
    status = response.get("OriginalStatusCode")
    return (status if isinstance(status, int) else 0), str(response.get("OriginalMessage", ""))


def _wait_seconds(retry_after: str) -> float:
    """Return how long to wait. A proxy may send a date in the place of seconds, which is not read."""
    return min(int(retry_after), TIMEOUT_SECONDS) if retry_after.isdecimal() else 1


def _error_answer(name: str, status: int, text: str) -> RequestRefused:
    with suppress(ValueError, KeyError, TypeError):  # An error body that is not from this project's server stays as is.
        text = str(json.loads(text)["error"])
    return RequestRefused(name, status, " ".join(text.split())[:MAX_REASON])
