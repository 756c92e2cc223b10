"""What a message says about values that cannot be used. It names flags, as a user types them."""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from container.validation.messages import message_of
from tools.deploy.values.patterns import WORDS

_FORM_ERRORS = ("string_pattern_mismatch", "string_too_long", "multiple_of")


def flag(field: str) -> str:
    """Return the flag of a field, such as --scale-target for scale_target."""
    return f"--{field.replace('_', '-')}"


def describe(error: ValidationError, fields: Sequence[str], tables: Sequence[str]) -> str:
    """Return one sentence for each value that cannot be used.

    fields: the names of all fields, each of which has a flag unless it is one of the tables of the file.
    """
    return "; ".join(_describe_one(one, fields, tables) for one in error.errors())


def _describe_one(error: ErrorDetails, fields: Sequence[str], tables: Sequence[str]) -> str:
    path = [str(part) for part in error["loc"]]
    is_of_form = error["type"] in _FORM_ERRORS or (path[:1] == ["memory_mb"] and error["type"] != "int_parsing")
    message = WORDS[path[0]] if path and is_of_form and path[0] in WORDS else message_of(error)
    if not path:
        return message
    if path[0] in tables:
        return f"[{path[0]}]{''.join(f' {part}' for part in path[1:])}: {message}"
    if path[0] not in fields:
        return f"{path[0]}: {message}"
    given = error["input"]
    shown = f" {given}" if isinstance(given, (str, int, float)) and given != "" else ""
    return f"{flag(path[0])}{shown}: {message}"
