"""AWS, for the tools that speak to it: one call at a time, errors in words. The only importer of boto3.

boto3 is no part of the image; `make setup` installs it for the tools that run from the repository.
"""

import copy
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tools.errors import ToolError

try:
    import boto3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
except ImportError:
    raise ToolError("this needs boto3, which the image does not hold: pip install boto3") from None

# "If your model takes 50-60 seconds, set the socket timeout to 70": the endpoint itself gives up after 60.
READ_TIMEOUT_SECONDS = 70
UPLOAD_PART_BYTES = 64 * 2**20
_LOGIN = "log in (`aws configure`, `aws sso login`) or set AWS_PROFILE"


class AwsError(ToolError):
    """AWS refused a request, or it could not be sent. code is AWS's own, or boto3's class of error."""

    def __init__(self, operation: str, code: str, message: str, response: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.response = response or {}


class Aws:
    """An account in a region. overrides: parameters merged into every request of an operation, by its name."""

    def __init__(
        self,
        region: str | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        session: "boto3.Session | None" = None,
    ) -> None:
        with _Words("log in"):
            self._session = session or boto3.Session()
        self._region = region or os.environ.get("AWS_REGION") or self._session.region_name  # boto3 reads no AWS_REGION
        self._overrides = overrides or {}
        self._client = cache(self._new_client)

    def _new_client(self, service: str) -> Any:
        retries = {"mode": "standard", "max_attempts": 5}
        config = Config(read_timeout=READ_TIMEOUT_SECONDS, retries=retries, max_pool_connections=32)
        region = self._region if service == "s3" else self.region  # S3 finds a bucket's region by itself
        with _Words("log in"):
            return self._session.client(service, region_name=region, config=config)

    @property
    def region(self) -> str:
        """Raises: ToolError where none is given, by the caller or by AWS's own settings."""
        if not self._region:
            raise ToolError("no AWS region: give --region, set AWS_REGION, or run `aws configure`")
        return self._region

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """One request, by the API's own names: call("sagemaker", "DescribeEndpoint", EndpointName=...).

        Raises: AwsError.
        """
        client = self._client(service)
        request = merged(parameters, self._overrides.get(operation, {}))
        method = {api: name for name, api in client.meta.method_to_api_mapping.items()}[operation]
        with _Words(operation):
            response: dict[str, Any] = getattr(client, method)(**request)
            return response

    def found(self, service: str, operation: str, missing: tuple[str, ...], /, **parameters: Any) -> Any:
        """call's answer, or None where the error says, by its code or in its message, that there is no such thing."""
        try:
            return self.call(service, operation, **parameters)
        except AwsError as error:
            if error.code in missing or any(part in error.message for part in missing):
                return None
            raise

    def pages(self, service: str, operation: str, key: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items under key, over all pages."""
        token: dict[str, Any] = {}
        while True:
            page = self.call(service, operation, **parameters, **token)
            yield from page.get(key, [])
            tokens = ("NextToken", "nextToken")
            token = {name: page[name] for name in tokens if page.get(name)}
            if page.get("NextContinuationToken"):
                token = {"ContinuationToken": page["NextContinuationToken"]}
            if not token:
                return

    def upload(
        self, path: Path, bucket: str, key: str, extra: Mapping[str, Any], on_bytes: Callable[[int], None]
    ) -> None:
        """To S3, in parts where it is large, several at once; calls on_bytes as bytes leave."""
        from boto3.s3.transfer import TransferConfig

        config = TransferConfig(multipart_threshold=UPLOAD_PART_BYTES, multipart_chunksize=UPLOAD_PART_BYTES)
        request = merged(extra, self._overrides.get("PutObject", {}))
        with _Words("PutObject"):
            self._client("s3").upload_file(str(path), bucket, key, ExtraArgs=request, Callback=on_bytes, Config=config)

    def url(self, service: str) -> str:
        """Where the service's API is."""
        return str(self._client(service).meta.endpoint_url)

    def signed(self, service: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of a POST with AWS's signature, which holds for five minutes.

        Raises: AwsError where there are no credentials.
        """
        meta = self._client(service).meta
        request = AWSRequest("POST", url, headers=dict(headers), data=body)
        with _Words("sign"):
            credentials = self._session.get_credentials()
            SigV4Auth(credentials, meta.service_model.signing_name, meta.region_name).add_auth(request)
        return dict(request.headers.items())


class _Words:
    """boto3's exceptions as AwsError."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            said = error.response.get("Error", {})
            code, message = str(said.get("Code", "Unknown")), str(said.get("Message", ""))
            raise AwsError(self._operation, code, message, error.response) from None
        if isinstance(error, ParamValidationError):
            message = f"{error}. A value under [overrides.{self._operation}], or in the configuration, does not fit"
            raise AwsError(self._operation, "InvalidParameter", message) from None
        if isinstance(error, NoCredentialsError):
            raise AwsError(self._operation, "NoCredentials", f"no AWS credentials were found: {_LOGIN}") from None
        if isinstance(error, (BotoCoreError, boto3.exceptions.Boto3Error)):
            raise AwsError(self._operation, type(error).__name__, str(error)) from None


def merged(request: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """request with override's values in it: tables merge, everything else is replaced."""
    result = dict(copy.deepcopy(request))
    for key, value in override.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
