"""The result of one check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """What a check found. `fails`: `up` would fail; `unknown`: the check could not be made."""

    check: str
    result: Literal["ok", "fails", "unknown"]
    text: str
