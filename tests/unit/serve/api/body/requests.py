"""Helpers: one item, and requests as they are parsed or refused."""

import json
from typing import Any

import pytest

from serve.api.body.items import Limits
from serve.api.body.parse import ParsedRequest, parse
from serve.errors import InvalidRequest

ITEM = {"question": "Who?", "context": "Zoë did."}
LIMITS = Limits(max_items=100_000, max_characters=10_000)


def parsed(**body: Any) -> ParsedRequest:
    return parse(json.dumps(body).encode(), LIMITS)


def refusal(**body: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**body)
    return str(caught.value)
