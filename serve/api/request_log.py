"""The log line and the metrics of one request."""

import logging
import os
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from serve.metrics import RequestMetrics
from serve.qa.request_lanes import Trace

log = logging.getLogger("request")

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
INFERENCE_ID_CHARACTERS = 64  # InvokeEndpoint's reference: the longest InferenceId
TARGET_MODEL = "x-amzn-sagemaker-target-model"
TARGET_MODEL_CHARACTERS = 1024  # InvokeEndpoint's reference: the longest TargetModel
CLIENT_GONE = 499  # nginx's status for a client that has disconnected; only the log line and the metrics show it


@dataclass
class RequestRecord:
    """What the server remembers of one request, without any of its texts."""

    request_id: str
    model_name: str | None  # on a multi-model endpoint
    target_model: str | None  # the file name that the caller of a multi-model endpoint gave
    route: str | None = None  # the path of a route that does not answer questions, as it was declared
    refusal: str | None = None  # why the server refused the request
    trace: Trace = field(default_factory=Trace)
    began_at: float = field(default_factory=time.perf_counter)

    @classmethod
    def begin(cls, headers: Headers, model_name: str | None) -> "RequestRecord":
        """Start a record. The request id is the caller's inference id, or a new one."""
        request_id = headers.get(INFERENCE_ID, "")[:INFERENCE_ID_CHARACTERS] or os.urandom(16).hex()
        target = headers.get(TARGET_MODEL) if model_name is not None else None
        return cls(request_id, model_name, target and target[:TARGET_MODEL_CHARACTERS])

    def write(self, metrics: RequestMetrics, status: int, error: str | None) -> None:
        """Write the log line, and add the request to the metrics.

        error: the error_type, followed by the message of a RequestError; None if the request succeeded.
        """
        trace = self.trace
        total_seconds = trace.total_seconds or time.perf_counter() - self.began_at
        metrics.request(status, total_seconds, self.refusal, None)
        if status < 400:
            metrics.answered(trace.form, trace.precisions)
        for stage, seconds in trace.stages.items():
            metrics.of_stage[stage].observe(seconds)
        stages_ms = {f"{stage}_ms": round(seconds * 1000, 2) for stage, seconds in trace.stages.items()}
        fields = {
            "request_id": self.request_id,
            "status": status,
            "form": trace.form,
            "precision": "+".join(sorted(trace.precisions)) or "none",
            "windows": trace.windows,
            "tokens": trace.tokens,
            "rungs": sorted(set(trace.rungs)),
            **stages_ms,
            "total_ms": round(total_seconds * 1000, 2),
        }
        if self.model_name is not None:
            fields["model"] = self.model_name
            fields["target_model"] = self.target_model
        if self.route is not None:
            fields["route"] = self.route
        if trace.failed_lines:
            fields["failed_lines"] = trace.failed_lines
        if error:
            fields["error"] = error
        log.log(logging.ERROR if status == 500 else logging.INFO, "invocation", extra=fields)
