"""The trace to which a request belongs, as the header `traceparent` says it.

Source: https://www.w3.org/TR/trace-context/
"""

import os
import re
from typing import NamedTuple

HEADER = "traceparent"
HEADER_BYTES = HEADER.encode()
# Later versions may add fields at the end. Version ff, and ids of zeros only, are not valid.
PATTERN = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?!0{32})(?P<trace>[0-9a-f]{32})-(?!0{16})(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
MAX_CHARACTERS = 512  # of a header; the only version that exists has 55
SAMPLED = 1


class TraceContext(NamedTuple):
    """The ids of a request's span, in lower-case hexadecimal digits. parent_id: of the caller's span, if it has one."""

    trace_id: str
    span_id: str
    parent_id: str | None
    is_sampled: bool

    @classmethod
    def begin(cls, trace_id: str, *, is_sampled: bool) -> "TraceContext":
        """Begin a new trace."""
        return cls(trace_id, os.urandom(8).hex(), None, is_sampled)

    @classmethod
    def of_header(cls, value: str) -> "TraceContext | None":
        """Continue the trace of the caller, or return None if the header is not valid."""
        found = PATTERN.fullmatch(value) if len(value) <= MAX_CHARACTERS else None
        if found is None or (found["version"] == "00" and found["rest"]):
            return None
        is_sampled = bool(int(found["flags"], 16) & SAMPLED)
        return cls(found["trace"], os.urandom(8).hex(), found["span"], is_sampled)

    @property
    def header(self) -> str:
        """The header traceparent of the response, whose span is this request's."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.is_sampled):02x}"
