"""A client of an asynchronous SageMaker endpoint: it stores each question in S3, and waits for the answer there."""

import json
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from serve.api.error_response import ERROR_STATUS, INTERNAL_STATUS, error_type
from tools.errors import RequestRefused, ToolError
from tools.remote.object_store import split_s3_uri

if TYPE_CHECKING:
    from tools.remote.aws import Aws

# The endpoint drops a request that has waited for this time, and gives one up that it has worked on for this time.
# An hour is the largest InvocationTimeoutSeconds; RequestTTLSeconds could be six hours, which nobody waits for here.
QUEUE_SECONDS = WORK_SECONDS = 3600
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0  # between two looks at S3, each of which costs a request
_JSON = "application/json"
_STATUS = {error_type(kind.__new__(kind)): status for kind, status in ERROR_STATUS.items()}


class AsyncEndpointClient:
    """A client of one asynchronous endpoint, with the AWS credentials of the environment."""

    def __init__(self, name: str, folder: str, region: str | None = None, aws: "Aws | None" = None) -> None:
        """folder: where the questions go, such as s3://bucket/folder; "" stands for a folder beside the results.

        The questions and the results stay there.
        """
        from tools.remote.aws import Aws  # The image has no boto3, and other clients must work there all the same.

        self.name = name
        self._aws = aws or Aws(region)
        self._folder = (folder or self._folder_of_results()).rstrip("/")
        split_s3_uri(f"{self._folder}/name")

    def __call__(self, body: bytes) -> bytes:
        """Send a request body to the endpoint, wait, and return the response body.

        Raises: ToolError, which quotes the container's own message if the container refused the request.
        """
        question = f"{self._folder}/{uuid.uuid4()}.json"
        bucket, key = split_s3_uri(question)
        self._aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=body, ContentType=_JSON)
        accepted = self._aws.call(
            "sagemaker-runtime",
            "InvokeEndpointAsync",
            EndpointName=self.name,
            ContentType=_JSON,
            Accept=_JSON,
            InputLocation=question,
            RequestTTLSeconds=QUEUE_SECONDS,
            InvocationTimeoutSeconds=WORK_SECONDS,
        )
        return self._wait(accepted)

    def _wait(self, accepted: dict[str, Any]) -> bytes:
        deadline = time.monotonic() + QUEUE_SECONDS + WORK_SECONDS
        pause = FIRST_PAUSE_SECONDS
        while time.monotonic() < deadline:
            answer = self._read(accepted["OutputLocation"])
            if answer is not None:
                return answer
            failure = self._read(accepted.get("FailureLocation", ""))
            if failure is not None:
                raise self._refusal(failure.decode(errors="replace"))
            time.sleep(pause)
            pause = min(1.5 * pause, LONGEST_PAUSE_SECONDS)
        raise ToolError(f"{self.name} has not answered; look for its answer later, at {accepted['OutputLocation']}")

    def _read(self, uri: str) -> bytes | None:
        from tools.remote.aws import AwsError

        if not uri:
            return None
        bucket, key = split_s3_uri(uri)
        try:
            found = self._aws.find("s3", "GetObject", ("NoSuchKey",), Bucket=bucket, Key=key)
        except AwsError as error:
            if error.code != "AccessDenied":
                raise
            raise ToolError(
                f"{error}. Without s3:ListBucket on {bucket}, S3 denies what does not exist yet, so this command "
                f"cannot wait: add the permission, or look for the object {uri} later"
            ) from None
        content: bytes | None = found and found["Body"].read()
        return content

    def _refusal(self, failure: str) -> RequestRefused:
        status, reason = INTERNAL_STATUS, " ".join(failure.split())
        with suppress(ValueError, KeyError, TypeError):  # what is not an error of this project's server stays as it is
            error = json.loads(failure)
            status, reason = _STATUS.get(error["error_type"], INTERNAL_STATUS), str(error["error"])
        return RequestRefused(self.name, status, reason)

    def _folder_of_results(self) -> str:
        """Return a folder below that of the endpoint's results.

        Raises: ToolError if the endpoint does not exist, or is not asynchronous.
        """
        endpoint = self._aws.call("sagemaker", "DescribeEndpoint", EndpointName=self.name)
        name = endpoint["EndpointConfigName"]
        config = self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)
        output = config.get("AsyncInferenceConfig", {}).get("OutputConfig", {}).get("S3OutputPath")
        if not output:
            raise ToolError(f"the endpoint {self.name} is not asynchronous; leave out --async")
        return f"{output.rstrip('/')}/questions"
