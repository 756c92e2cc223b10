"""Convert the values of settings from the way in which people write them."""

from typing import Any

from container.cpu import ISA_FLAGS
from container.precision import PRECISIONS

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
