"""The requests that a session sends to AWS, with the parameters that the caller gave, and what AWS refuses of them."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import boto3


@dataclass(frozen=True)
class Request:
    """One request. `service` is the prefix of the service's permissions, such as s3; `shape` is botocore's model."""

    service: str
    operation: str
    parameters: dict[str, Any]
    shape: Any


class Refusal(Exception):
    """AWS's answer to a request that it refuses. The code may be one that AWS does not document exactly."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def watch(session: boto3.Session, see: Callable[[Request], None]) -> boto3.Session:
    """Call `see` with each request of the session before it is sent. A Refusal becomes AWS's answer."""

    def keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context.setdefault("parameters", {}).update(params)

    def check(model: Any, context: dict[str, Any], **_: Any) -> Any:
        service = model.service_model.signing_name.replace("monitoring", "cloudwatch")
        try:
            see(Request(service, model.name, context["parameters"], model.input_shape))
        except Refusal as refusal:
            error = {"Code": refusal.code, "Message": str(refusal)}
            answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": refusal.status}}
            return SimpleNamespace(status_code=refusal.status), answer
        return None

    session.events.register("provide-client-params", keep)
    session.events.register("before-call", check)
    return session
