"""The limits of AWS's API models. AWS checks them; boto3 checks only types and minima, and moto almost nothing."""

from collections.abc import Iterator
from typing import Any

import regex

from tests.aws.recording import Refusal, Request

_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"  # pairs of UTF-16, which are single characters in Python


def check_limits(request: Request) -> None:
    """Refuse a request that breaks an enumeration, a maximum or a pattern of the model in botocore/data."""
    if request.shape is not None:
        for problem in _problems(request.shape, request.parameters, request.operation):
            raise Refusal(f"1 validation error detected: {problem}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name, one in value.items():
                yield from _problems(shape.members[name], one, f"{path}.{name}")
        case "list":
            yield from _too_much(shape, len(value), path)
            for one in value:
                yield from _problems(shape.member, one, path)
        case "map":
            yield from _too_much(shape, len(value), path)
            for key, one in value.items():
                yield from _problems(shape.key, key, path)
                yield from _problems(shape.value, one, f"{path}.{key}")
        case _:
            yield from _wrong_scalar(shape, value, path)


def _too_much(shape: Any, size: float, path: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and size > float(most):
        yield f"{path}: {size:g} is more than {most}"


def _wrong_scalar(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, (int, float)):
        yield from _too_much(shape, value, path)
    if shape.type_name != "string":
        return
    yield from _too_much(shape, len(value), path)
    enumeration, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if enumeration and value not in enumeration:
        yield f"{path}={value} is not one of {', '.join(enumeration[:5])}, ..."
    if pattern and not regex.fullmatch(pattern.replace(_SURROGATES, ""), value):
        yield f"{path}={value} does not match {pattern}"
