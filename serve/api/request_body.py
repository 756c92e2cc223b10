"""Bytes -> a typed request, and a request's answers -> bytes in the shape that it came in."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from container.precision import Precision
from serve.api import schemas
from serve.api.schemas import Form, HuggingFaceListRequest, HuggingFaceRequest, InstancesRequest, Item, SampleRequest
from serve.errors import InvalidRequest, MalformedBody, NotAcceptable, UnsupportedMediaType
from serve.qa.spans import Answer

Model = TypeVar("Model", bound=BaseModel)

HEADERS_KEPT = 64  # clients send few different ones, and parsing them takes 0.1 ms
JSON = "application/json"
JSON_LINES = "application/jsonlines"
# SageMaker's documents say application/jsonlines; the others are in use for the same thing.
JSON_LINES_NAMES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")


@dataclass(frozen=True)
class ItemAnswer:
    """The answers to one item, and the precision that gave them."""

    item: Item
    precision: Precision
    answers: list[Answer]


@dataclass(frozen=True)
class ParsedRequest:
    """One JSON object of a request: its items, with what stands at its top level filled in."""

    form: Form
    items: list[Item]
    is_list: bool

    def body(self, answered: Sequence[ItemAnswer]) -> Any:
        """The answer in the form of the request."""
        if self.form == "instances":
            return {"predictions": [schemas.sample_body(a.item, a.precision, a.answers) for a in answered]}
        if self.form == "sample":
            only = answered[0]
            return schemas.sample_body(only.item, only.precision, only.answers)
        bodies = [schemas.huggingface_body(a.item, a.answers) for a in answered]
        return bodies if self.is_list else bodies[0]


@functools.lru_cache(maxsize=HEADERS_KEPT)
def media_type(content_type: str | None, content_encoding: str | None) -> str:
    """Which of the two media types a body is.

    Raises: UnsupportedMediaType.
    """
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported: send the body as it is")
    header = Message()
    header["Content-Type"] = content_type or JSON
    if header.get_content_charset("utf-8") not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("charset is not supported: send UTF-8")
    name = header.get_content_type()
    if name == JSON:
        return JSON
    if name in JSON_LINES_NAMES:
        return JSON_LINES
    raise UnsupportedMediaType(f"Content-Type is not supported: send {JSON} or {JSON_LINES}")


@functools.lru_cache(maxsize=HEADERS_KEPT)
def check_accept(accept: str | None, media: str) -> None:
    """See that the caller takes the media type that the answer will have.

    Raises: NotAcceptable.
    """
    names = JSON_LINES_NAMES if media == JSON_LINES else (JSON,)
    by_range = ("*/*", "application/*", "the type itself")  # RFC 9110, 12.5.1: the most specific range decides
    quality = dict.fromkeys(by_range, -1.0)
    for choice in (accept or "*/*").split(","):
        header = Message()
        header["Accept"] = choice.strip()
        name = choice.partition(";")[0].strip().lower()
        of = "the type itself" if name in names else name
        if of in quality:
            quality[of] = max(quality[of], _quality(header.get_param("q", "1", "Accept")))
    if next((quality[of] for of in reversed(by_range) if quality[of] >= 0), 0) > 0:
        return
    raise NotAcceptable(f"Accept does not admit {media}, which is what this request is answered in")


def _quality(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return 1.0


def parse(data: bytes) -> ParsedRequest:
    """Parse one JSON object into its form.

    Raises: MalformedBody, InvalidRequest.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    if "inputs" in value:
        if isinstance(value["inputs"], list):
            several = _validate(HuggingFaceListRequest, value)
            return ParsedRequest("huggingface", _filled(several.inputs, several), is_list=True)
        one = _validate(HuggingFaceRequest, value)
        return ParsedRequest("huggingface", _filled([one.inputs], one), is_list=False)
    if "instances" in value:
        instances = _validate(InstancesRequest, value)
        return ParsedRequest("instances", _filled(instances.instances, instances), is_list=True)
    return ParsedRequest("sample", [_validate(SampleRequest, value)], is_list=False)


def validate_json(model: type[Model], data: bytes) -> Model:
    """Parse one JSON object of a schema.

    Raises: MalformedBody, InvalidRequest.
    """
    try:
        return _validate(model, orjson.loads(data))
    except orjson.JSONDecodeError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None


def _filled(items: list[Item], request: HuggingFaceRequest | HuggingFaceListRequest | InstancesRequest) -> list[Item]:
    """Items with the request's version and parameters where they have none of their own."""
    defaults = {"version": request.version, "parameters": request.parameters}
    return [
        item.model_copy(update={key: value for key, value in defaults.items() if getattr(item, key) is None})
        for item in items
    ]


def _validate(model: type[Model], value: dict[str, Any]) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        message = "must hold more than white space" if first["type"] == "string_pattern_mismatch" else first["msg"]
        raise InvalidRequest(f"{path}: {message}") from None
