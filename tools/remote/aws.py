"""An AWS account for the tools: each request is one method call, and every failure is an error with a readable message.

This is the only module that imports boto3. The image does not contain boto3; `make setup` installs it for the tools
that run from the repository.
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
    from boto3.s3.transfer import TransferConfig
    from botocore import xform_name
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
    from botocore.parsers import ResponseParserError
    from botocore.validate import validate_parameters
except ImportError:
    raise ToolError("this command needs boto3, which the image does not contain: pip install boto3") from None

# Endpoints give up after 60 s, and AWS advises: "If your model takes 50-60 seconds, set the socket timeout to 70".
READ_TIMEOUT_SECONDS = 70
# AWS publishes its prices only in some regions. They are good to have, but nobody waits long for them.
PRICES_REGION, PRICES_TIMEOUT_SECONDS = "us-east-1", 5
UPLOAD_PART_BYTES = 64 * 2**20
# SageMaker has no error code for a missing resource. It sends a ValidationException with one of these texts.
SAGEMAKER_NOT_FOUND = ("Could not find", "does not exist", "not found")
NOT_AWS = (
    "the answer was not one of AWS. Is AWS_ENDPOINT_URL set to a server that does not have this operation? Otherwise "
    "try again later"
)
_LOGIN = "log in (`aws configure`, `aws login`, `aws sso login`) or set AWS_PROFILE"


class AwsError(ToolError):
    """AWS refused a request, or the request could not be sent.

    `code` is AWS's error code. If the request could not be sent, `code` is the name of boto3's exception class.
    """

    def __init__(self, operation: str, code: str, message: str, response: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{operation}: {code}: {message}")
        self.operation = operation
        self.code = code
        self.message = message
        self.response = response or {}


class Aws:
    """An AWS account in one region.

    `overrides` maps the name of an operation to parameters that are merged into every request of that operation.
    """

    def __init__(
        self,
        region: str | None = None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        session: "boto3.Session | None" = None,
    ) -> None:
        with _AwsErrors("log in"):
            self._session = session or boto3.Session()
        # boto3 itself does not read AWS_REGION.
        self._region = region or os.environ.get("AWS_REGION") or self._session.region_name
        self._overrides = overrides or {}
        self._client = cache(self._new_client)

    def _new_client(self, service: str) -> Any:
        retries = {"mode": "standard", "max_attempts": 5}
        config = Config(read_timeout=READ_TIMEOUT_SECONDS, retries=retries, max_pool_connections=32)
        region = self._region if service == "s3" else self.region  # S3 finds the region of a bucket without our help
        if service == "pricing":
            limits = {"connect_timeout": PRICES_TIMEOUT_SECONDS, "read_timeout": PRICES_TIMEOUT_SECONDS}
            config, region = Config(**limits, retries={"total_max_attempts": 1}), PRICES_REGION
        with _AwsErrors("log in"):
            return self._session.client(service, region_name=region, config=config)

    @property
    def region(self) -> str:
        """The region of all requests.

        Raises: ToolError if neither the caller nor AWS's own settings name a region.
        """
        if not self._region:
            raise ToolError("no AWS region is set: give --region, set AWS_REGION, or run `aws configure`")
        return self._region

    def call(self, service: str, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Send one request and return the response.

        Operations and parameters have the names of AWS's API: call("sagemaker", "DescribeEndpoint", EndpointName="x").

        Raises: AwsError.
        """
        client = self._client(service)
        request = merge_overrides(parameters, self._overrides.get(operation, {}))
        method = {api: name for name, api in client.meta.method_to_api_mapping.items()}[operation]
        with _AwsErrors(operation):
            response: dict[str, Any] = getattr(client, method)(**request)
            return response

    def check(self, service: str, operation: str, /, **parameters: Any) -> None:
        """Check the names and types of a request's parameters, as before the request, but send nothing.

        Raises: AwsError.
        """
        request = merge_overrides(parameters, self._overrides.get(operation, {}))
        model = self._client(service).meta.service_model.operation_model(operation)
        with _AwsErrors(operation):
            validate_parameters(request, model.input_shape)

    def find(self, service: str, operation: str, not_found: tuple[str, ...], /, **parameters: Any) -> Any:
        """Send one request and return the response, or None if the resource does not exist.

        The resource does not exist if the error has a code from `not_found` or a message that contains one of them.

        Raises: AwsError for any other error.
        """
        try:
            return self.call(service, operation, **parameters)
        except AwsError as error:
            if error.code in not_found or any(text in error.message for text in not_found):
                return None
            raise

    def list_all(self, service: str, operation: str, key: str, /, **parameters: Any) -> Iterator[Any]:
        """Yield the items that the response holds under `key`, page after page.

        Raises: AwsError.
        """
        client = self._client(service)
        request = merge_overrides(parameters, self._overrides.get(operation, {}))
        with _AwsErrors(operation):
            for page in client.get_paginator(xform_name(operation)).paginate(**request):
                yield from page.get(key, [])

    def upload(
        self, path: Path, bucket: str, key: str, extra: Mapping[str, Any], on_bytes: Callable[[int], None]
    ) -> None:
        """Upload a file to S3. A large file is sent in parts, several at a time.

        Args:
            path: the file.
            bucket: the S3 bucket.
            key: the key of the object in the bucket.
            extra: further parameters of PutObject.
            on_bytes: is called with the number of bytes that were sent since the last call.
        """
        config = TransferConfig(multipart_threshold=UPLOAD_PART_BYTES, multipart_chunksize=UPLOAD_PART_BYTES)
        request = merge_overrides(extra, self._overrides.get("PutObject", {}))
        with _AwsErrors("PutObject"):
            self._client("s3").upload_file(str(path), bucket, key, ExtraArgs=request, Callback=on_bytes, Config=config)

    def enumeration(self, service: str, shape: str) -> list[str]:
        """Return the values that AWS's API accepts for a parameter of this shape."""
        return list(self._client(service).meta.service_model.shape_for(shape).enum)

    def endpoint_url(self, service: str) -> str:
        """Return the URL of a service's API."""
        return str(self._client(service).meta.endpoint_url)

    def sign(self, service: str, url: str, body: bytes, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a POST request with AWS's signature, which is valid for five minutes.

        Raises: AwsError if there are no credentials.
        """
        meta = self._client(service).meta
        request = AWSRequest("POST", url, headers=dict(headers), data=body)
        with _AwsErrors("sign"):
            credentials = self._session.get_credentials()
            SigV4Auth(credentials, meta.service_model.signing_name, meta.region_name).add_auth(request)
        return dict(request.headers.items())


class _AwsErrors:
    """A context manager that converts the exceptions of boto3 into AwsError."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            details = error.response.get("Error", {})
            code, message = str(details.get("Code", "Unknown")), str(details.get("Message", ""))
            if "<html" in message.lower() or (code.startswith("5") and not message):
                message = NOT_AWS
            raise AwsError(self._operation, code, message, error.response) from None
        if isinstance(error, ParamValidationError):
            message = f"{error}. Correct the value in the configuration, or under [overrides.{self._operation}]"
            raise AwsError(self._operation, "InvalidParameter", message) from None
        if isinstance(error, NoCredentialsError):
            raise AwsError(self._operation, "NoCredentials", f"no AWS credentials were found: {_LOGIN}") from None
        if isinstance(error, ResponseParserError):
            raise AwsError(self._operation, type(error).__name__, NOT_AWS) from None
        if isinstance(error, (BotoCoreError, boto3.exceptions.Boto3Error)):
            raise AwsError(self._operation, type(error).__name__, str(error)) from None


def merge_overrides(request: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of `request` with the values of `overrides`.

    Mappings are merged. A list of variants takes a mapping from the name of a variant to further values of it. Other
    values are replaced.

    Raises: ToolError if a mapping for a list of variants names one that the list does not have.
    """
    result = dict(copy.deepcopy(request))
    for key, value in overrides.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, list):
            result[key] = _merge_variants(key, old, value)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            result[key] = merge_overrides(old, value)
        else:
            result[key] = value
    return result


def _merge_variants(key: str, variants: list[Any], overrides: Mapping[str, Any]) -> list[Any]:
    names = [str(variant.get("VariantName", "")) if isinstance(variant, Mapping) else "" for variant in variants]
    if unknown := sorted(set(overrides) - set(names)):
        known = ", ".join(filter(None, names)) or "none"
        raise ToolError(f"the overrides of {key} name {', '.join(unknown)}, which it does not have; it has {known}")
    return [
        merge_overrides(one, overrides[name]) if name in overrides else one
        for one, name in zip(variants, names, strict=True)
    ]
