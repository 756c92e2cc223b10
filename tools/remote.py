"""POST /invocations of a server by its URL, or of a SageMaker endpoint by its name: bytes there, bytes back."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress

import httpx

from tools.errors import ToolError

TIMEOUT_SECONDS = 70  # AWS's advice for endpoints, which give up after 60
ATTEMPTS = 20  # of a request that is refused because all is busy
BUSY = httpx.codes.TOO_MANY_REQUESTS
_HEADERS = {"Content-Type": "application/json"}


class Server:
    """One by its URL."""

    def __init__(self, url: str) -> None:
        self.name = url.rstrip("/")
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, headers=_HEADERS)

    def __call__(self, body: bytes) -> bytes:
        """The answer's body.

        Raises: ToolError.
        """
        for _ in range(ATTEMPTS):
            try:
                response = self._client.post(f"{self.name}/invocations", content=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ToolError(f"cannot ask {self.name}: {error}. Is the server running?") from None
            if response.status_code == httpx.codes.OK:
                return response.content
            if response.status_code != BUSY:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        raise _refused(self.name, response.status_code, response.text)


class Endpoint:
    """One of SageMaker's, real-time or serverless, with the credentials of the environment."""

    def __init__(self, name: str, region: str | None = None, variant: str | None = None) -> None:
        """variant: the one to ask; by default the traffic's weights choose."""
        from tools.aws import Aws  # boto3 is no part of the image, where the other sources work without it

        self.name = name
        self._aws = Aws(region)
        self._request = {"EndpointName": name, "ContentType": "application/json", "Accept": "application/json"}
        if variant:
            self._request["TargetVariant"] = variant

    def __call__(self, body: bytes) -> bytes:
        """The answer's body.

        Raises: ToolError; what the container said stands in it.
        """
        from tools.aws import AwsError

        for _ in range(ATTEMPTS):
            try:
                answer: bytes = self._aws.call("sagemaker-runtime", "InvokeEndpoint", Body=body, **self._request)[
                    "Body"
                ].read()
                return answer
            except AwsError as error:
                status, said = _original(error.response)
                if status != BUSY:
                    raise (_refused(self.name, status, said) if status else error) from None
            time.sleep(1)
        raise _refused(self.name, BUSY, said)

    def configuration(self) -> Mapping[str, str] | None:
        """Its ARN and its configuration's name, and what that runs on; None where the caller may not see that.

        Instance type and configuration are empty where it is not one instance type alone.
        """
        from tools.aws import AwsError

        try:
            found = self._aws.call("sagemaker", "DescribeEndpoint", EndpointName=self.name)
            name = found["EndpointConfigName"]
            variants = self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)
        except AwsError:
            return None
        types = {variant.get("InstanceType", "") for variant in variants["ProductionVariants"]}
        return {
            "arn": found["EndpointArn"],
            "configuration": name,
            "instance_type": types.pop() if len(types) == 1 else "",
        }


def _original(response: Mapping[str, object]) -> tuple[int, str]:
    """ModelError's own status and message of the container; 0 for other errors."""
    status = response.get("OriginalStatusCode")
    return (status if isinstance(status, int) else 0), str(response.get("OriginalMessage", ""))


def _refused(name: str, status: int, text: str) -> ToolError:
    with suppress(ValueError, KeyError, TypeError):  # what is no error of this project's server is shown as it is
        text = json.loads(text)["error"]
    return ToolError(f"{name} answers {status}: {text}")
