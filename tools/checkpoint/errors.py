"""Convert what transformers raises into one line for the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.errors import ToolError

MAX_REASON = 300  # characters of an error of transformers; some list the names of all models


@contextmanager
def as_tool_error(source: str) -> Iterator[None]:
    """Convert whatever transformers raises because of a checkpoint into a ToolError of one line."""
    try:
        yield
    except ToolError:
        raise
    except Exception as error:  # a damaged file raises an exception of whichever library reads it
        raise ToolError(f"cannot load checkpoint {source}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    # torch's first line says only that there were errors, and the next line says which
    reason = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    if isinstance(error, KeyError) or not reason:  # the text of a KeyError is only the key
        reason = f"{type(error).__name__} {reason}".strip()
    if "couldn't connect" in reason:
        reason += " Connect to the hub, or name a directory"
    return reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}…"
