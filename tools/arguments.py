"""Command-line arguments that several tools take."""

from container.precision import PRECISIONS, Precision
from tools.errors import ToolError


def parse_precisions(text: str) -> tuple[Precision, ...] | None:
    """`int8,fp32` -> precisions in the order of preference; `auto` -> None.

    Raises: ToolError.
    """
    if text == "auto":
        return None
    names = [name.strip().upper() for name in text.split(",")]
    if not set(names) <= set(PRECISIONS):
        raise ToolError("--precisions takes some of int8,bf16,fp32")
    return tuple(precision for precision in PRECISIONS if precision in names)
