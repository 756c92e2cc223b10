"""The spans of one request, from what it has noted of its stages and its windows."""

from serve.qa.request_lanes import Trace
from serve.tracing.context import TraceContext
from serve.tracing.tracer import Span, TracedRequest


def of_request(
    context: TraceContext, trace: Trace, status: int, began_and_seconds: tuple[float, float]
) -> TracedRequest:
    """Return the spans of a request that has ended. began_and_seconds: of the whole request.

    A stage with pauses is one span, from its first beginning and as long as all its parts together.
    """
    began, seconds = began_and_seconds
    attributes: dict[str, str | int | float] = {
        "request_id": trace.request_id,
        "http.response.status_code": status,
        "bertqa.form": trace.form,
        "bertqa.windows": trace.windows,
        "bertqa.tokens": trace.tokens,
    }
    passes = [
        Span(
            f"pass {each.lane}",
            each.began,
            each.ended,
            {"bertqa.lane": each.lane, "bertqa.rung": each.rung, "bertqa.windows": each.windows},
        )
        for each in trace.passes or ()
    ]
    stages = [
        (Span(stage, trace.began[stage], trace.began[stage] + took), passes if stage == "inference" else [])
        for stage, took in trace.stages.items()
    ]
    return TracedRequest(context, Span("request", began, began + seconds, attributes), status >= 500, stages)
