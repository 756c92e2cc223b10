"""Read the body of a request, parse it into questions, and build the body of its response from their answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from serve.api import schemas
from serve.api.schemas import Form, HuggingFaceListRequest, HuggingFaceRequest, InstancesRequest, Item, SampleRequest
from serve.errors import InvalidRequest, MalformedBody, PayloadTooLarge
from serve.qa.types import AnsweredQuestion, Question
from serve.qa.types import Parameters as SearchParameters

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ParsedRequest:
    """One JSON object of a request: its questions, and the form that its response will have.

    is_list: the request held a list, so the response holds one too, whatever its length.
    """

    form: Form
    questions: list[Question]
    is_list: bool

    def response_body(self, answered: Sequence[AnsweredQuestion]) -> Any:
        """Return the response in the form of the request."""
        if self.form == "instances":
            return {"predictions": [schemas.sample_body(each) for each in answered]}
        if self.form == "sample":
            return schemas.sample_body(answered[0])
        bodies = [schemas.huggingface_body(each) for each in answered]
        return bodies if self.is_list else bodies[0]


async def read(request: Request, limit_mb: int | None) -> AsyncIterator[bytes]:
    """Read the body in the pieces in which it arrives.

    limit_mb: the largest body in MiB; None means that any size is allowed.
    Raises: PayloadTooLarge, ClientDisconnect.
    """
    announced_bytes = request.headers.get("content-length", "")
    _check_size(int(announced_bytes) if announced_bytes.isdecimal() else 0, limit_mb)
    received_bytes = 0
    async for piece in request.stream():
        received_bytes += len(piece)
        _check_size(received_bytes, limit_mb)
        yield piece


def _check_size(size_bytes: int, limit_mb: int | None) -> None:
    if limit_mb is not None and size_bytes > limit_mb * 2**20:
        raise PayloadTooLarge(
            f"the body is larger than {limit_mb} MiB; split it into several requests, or raise MAX_PAYLOAD_MB"
        )


def parse(data: bytes) -> ParsedRequest:
    """Parse one JSON object in any of the forms.

    Raises: MalformedBody, InvalidRequest.
    """
    value = _json_object(data)
    if "inputs" in value:
        if isinstance(value["inputs"], list):
            several = _validate(HuggingFaceListRequest, value)
            return ParsedRequest("huggingface", _questions(several.inputs, several), is_list=True)
        one = _validate(HuggingFaceRequest, value)
        return ParsedRequest("huggingface", _questions([one.inputs], one), is_list=False)
    if "instances" in value:
        instances = _validate(InstancesRequest, value)
        return ParsedRequest("instances", _questions(instances.instances, instances), is_list=True)
    question = _validate(SampleRequest, value).to_question()
    return ParsedRequest("sample", [question], is_list=False)


def parse_as(model: type[Model], data: bytes) -> Model:
    """Parse one JSON object of a given schema.

    Raises: MalformedBody, InvalidRequest.
    """
    return _validate(model, _json_object(data))


def _questions(
    items: Sequence[Item], request: HuggingFaceRequest | HuggingFaceListRequest | InstancesRequest
) -> list[Question]:
    """Convert items; the version and the parameters of the request apply to items that have none of their own."""
    shared = request.parameters.to_search_parameters() if request.parameters else SearchParameters()
    return [item.to_question(request.version, shared) for item in items]


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"the body is not JSON: {error}; send one JSON object in UTF-8") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    return value


def _validate(model: type[Model], value: dict[str, Any]) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        message = first["msg"]
        if first["type"] == "string_pattern_mismatch":
            message = schemas.PATTERN_MESSAGES[first["ctx"]["pattern"]]
        raise InvalidRequest(f"{path}: {message}") from None
