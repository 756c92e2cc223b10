"""Say in our own words why pydantic refused a value: of a setting, a manifest, a configuration or a request.

Pydantic's own messages use words of its implementation, can quote what a client sent, and do not always say what would
be right. https://docs.pydantic.dev/latest/errors/validation_errors/ lists the types of its errors.
"""

from collections.abc import Callable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

NAME_CHARACTERS = 64  # of a name in a message; names of fields are shorter
Path = tuple[str | int, ...]

# A message for each type of error. The values in braces are those that pydantic gives with the error.
MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "string_type": "must be a string",
    "string_unicode": "must be a string in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number, and neither NaN nor infinite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "path_type": "must be a path",
    "json_invalid": "is not valid JSON",
    "value_error": "{error}",  # raised by our own validators, whose messages repeat nothing that was sent
}
UNKNOWN = "has a value that cannot be used"  # a type that no model of this project raises at present


def describe(
    error: ValidationError,
    patterns: Mapping[str, str] | None = None,
    unknown_name: Callable[[str], str] | None = None,
    locate: Callable[[Path], Path] = tuple,
) -> str:
    """Return the first thing that is wrong, as `path.to.field: message`.

    patterns: a message for each regular expression that the model uses.
    unknown_name: returns what is wrong with a field whose name is not known, and the path then ends before the name,
        because a client chooses the names that it sends. None: the name is part of the path, shortened.
    locate: returns the complete path to what has this path in the value that was validated.
    """
    first = error.errors(include_input=False, include_url=False)[0]
    own = first["loc"]
    if first["type"] == "extra_forbidden" and unknown_name is not None:
        message, own = unknown_name(str(own[-1])), own[:-1]
    else:
        message = message_of(first, patterns)
    path = [str(part)[:NAME_CHARACTERS] for part in locate(own)]
    return f"{'.'.join(path)}: {message}" if path else message


def message_of(error: ErrorDetails, patterns: Mapping[str, str] | None = None) -> str:
    """Return the message of one of pydantic's errors, without the path to the field."""
    context = error.get("ctx", {})
    if patterns and error["type"] == "string_pattern_mismatch" and context["pattern"] in patterns:
        return patterns[context["pattern"]]
    if error["type"] in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "must not be empty"
    if error["type"] == "literal_error":
        context = {"expected": context["expected"].replace("'", "")}
    return MESSAGES.get(error["type"], UNKNOWN).format(**context)
