"""Reads the settings of a tokenizer's parts."""

import json
from typing import Any


def settings_of(part: Any) -> dict[str, Any]:
    """Return the settings of a normalizer or a pre-tokenizer as tokenizer.json has them; none if there is no such part.

    The whole of tokenizer.json would be many megabytes of vocabulary.
    """
    settings: dict[str, Any] = json.loads(part.__getstate__()) if part is not None else {}
    return settings


def parts_of(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of each pre-tokenizer in a sequence, or of a single one."""
    if settings.get("type") == "Sequence":
        return [part for each in settings["pretokenizers"] for part in parts_of(each)]
    return [settings]
