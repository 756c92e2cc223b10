"""Convert the values of settings from the way in which people write them."""

import re
from typing import Any

from container.cpu import ISA_FLAGS
from container.precision import PRECISIONS

# An origin as browsers send it: RFC 6454, section 6.2, with a host in ASCII.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
HTTP_URL = re.compile(r"https?://(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
# As the value of a label in Kubernetes, which most platforms accept as a name.
MODEL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
LEVELS = {"10": "DEBUG", "20": "INFO", "30": "WARNING", "40": "ERROR", "50": "ERROR"}  # by Python's numbers


def split_precisions(value: Any) -> Any:
    """Return the precisions in a list such as "INT8,FP32", in the usual order, or None for "auto"."""
    if not isinstance(value, str):
        return value
    if none_if_auto(value) is None:
        return None
    wanted = {name.strip().upper() for name in value.split(",")}
    if not wanted <= set(PRECISIONS):
        raise ValueError("must be auto, or a comma-separated list of INT8, BF16 and FP32")
    return tuple(name for name in PRECISIONS if name in wanted)


def none_if_auto(value: Any) -> Any:
    """Return None for "auto", and anything else as it is."""
    return None if isinstance(value, str) and value.strip().lower() == "auto" else value


def level_name(value: Any) -> str:
    """Return the name of a log level, which may also be one of Python's numbers."""
    return LEVELS.get(str(value), str(value).upper())


def known_isa(value: str) -> str:
    """Check that a CPU generation is one of oneDNN's that the server knows."""
    if value.upper() not in ("DEFAULT", *ISA_FLAGS):
        raise ValueError(f"must be DEFAULT, or one of {', '.join(ISA_FLAGS)}")
    return value


def split_origins(value: Any) -> Any:
    """Return the origins in a list such as "https://a.example,http://localhost:3000", or ("*",) for every origin."""
    if not isinstance(value, str):
        return value
    origins = tuple(name.strip().lower() for name in value.split(","))
    if origins != ("*",) and not all(map(ORIGIN.fullmatch, origins)):
        raise ValueError("must be *, or a comma-separated list of origins such as https://a.example, without a path")
    return origins


def model_name(value: str) -> str:
    """Check a name that stands in the path of a URL."""
    if not MODEL_NAME.fullmatch(value):
        raise ValueError(
            "must be 1 to 63 letters, digits, dots, hyphens or underscores, with a letter or digit at each end"
        )
    return value


def http_url(value: str) -> str:
    """Check the address of a collector. Credentials do not belong there, because the log shows all settings."""
    if value and not HTTP_URL.fullmatch(value):
        raise ValueError("must be a URL such as http://localhost:4318, without user name, query or fragment")
    return value
