"""Read settings from environment variables, and say in one line what is wrong with one that cannot be used."""

import os
from typing import TypeVar

from pydantic import AliasChoices, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from container.validation.messages import message_of

SHOWN_CHARACTERS = 100  # of a value in a message

Model = TypeVar("Model", bound=BaseSettings)


class SettingsError(Exception):
    """An environment variable has an invalid value. The message names the variable."""


def read(model: type[Model]) -> Model:
    """Read all settings of a model.

    Raises: SettingsError with one line that names the variable, its value and what is expected.
    """
    fields = model.model_fields.values()
    for name in (name for field in fields for name in variables_set(field)):
        if not _is_utf8(os.environ[name]):
            raise _refusal(name, "must be a string in UTF-8")
    try:
        return model()
    except ValidationError as error:
        first = error.errors()[0]
        # pydantic names the first alias even if another one is set.
        field = next(field for field in fields if first["loc"][0] in variable_names(field))
        raise refusal(field, message_of(first)) from None


def variable_names(field: FieldInfo) -> list[str]:
    """Return the environment variables of a setting. If several are set, the first one in this list wins."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [str(alias)]


def variables_set(field: FieldInfo) -> list[str]:
    """Return the environment variables that are set for a setting, spelled as they are there. The first one wins.

    A name can be spelled in upper or lower case; of several spellings the last one wins. An empty variable is not set.
    """
    spelled = {name.lower(): name for name, value in os.environ.items() if value}
    return [spelled[name.lower()] for name in variable_names(field) if name.lower() in spelled]


def refusal(field: FieldInfo, message: str) -> SettingsError:
    """Return the error for a setting whose value cannot be used; the message says what would be right."""
    return _refusal(variable_of(field), message, str(field.default))


def variable_of(field: FieldInfo) -> str:
    """Return the environment variable that a setting was read from, or would be read from first."""
    return (variables_set(field) or variable_names(field))[0]


def _refusal(name: str, message: str, default: str = "") -> SettingsError:
    value = os.environ.get(name, default)
    shown = repr(value) if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]!r}..."
    return SettingsError(f"{name}={shown}: {message}")


def _is_utf8(text: str) -> bool:
    """Whether the bytes of a variable were UTF-8; Python puts surrogates in the place of other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
