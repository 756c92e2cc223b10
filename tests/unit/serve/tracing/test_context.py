"""The header traceparent: https://www.w3.org/TR/trace-context/"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.tracing.context import TraceContext

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "is_sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # the second flag says that the trace id is random
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_a_valid_header_is_continued_with_a_span_of_its_own(header: str, is_sampled: bool) -> None:
    context = TraceContext.of_header(header)
    assert context is not None
    assert (context.trace_id, context.parent_id, context.is_sampled) == (TRACE, SPAN, is_sampled)
    assert re.fullmatch("[0-9a-f]{16}", context.span_id)
    assert context.span_id != SPAN
    assert context.header == f"00-{TRACE}-{context.span_id}-{'01' if is_sampled else '00'}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 1000}",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_a_header_that_is_not_valid_is_ignored(header: str) -> None:
    assert TraceContext.of_header(header) is None


@given(st.text(max_size=60))
def test_any_text_is_either_ignored_or_continued(header: str) -> None:
    context = TraceContext.of_header(header)
    assert context is None or TraceContext.of_header(context.header) is not None
