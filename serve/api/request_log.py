"""The log line and the metrics of one request."""

import logging
import uuid
from dataclasses import dataclass, field

from starlette.datastructures import Headers

from serve.metrics import Metrics
from serve.qa.engine import Trace

log = logging.getLogger("request")

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
INFERENCE_ID_CHARACTERS = 64  # InvokeEndpoint's reference: the longest InferenceId
TARGET_MODEL = "x-amzn-sagemaker-target-model"


@dataclass
class RequestRecord:
    """What the server remembers of one request, without any of its texts."""

    request_id: str
    model_name: str | None  # on a multi-model endpoint
    target_model: str | None  # the file name that the caller of a multi-model endpoint gave
    form: str = "none"  # until the body has been parsed
    trace: Trace = field(default_factory=Trace)

    @classmethod
    def begin(cls, headers: Headers, model_name: str | None) -> "RequestRecord":
        """Start a record. The request id is the caller's inference id, or a new one."""
        request_id = headers.get(INFERENCE_ID, "")[:INFERENCE_ID_CHARACTERS] or uuid.uuid4().hex
        return cls(request_id, model_name, headers.get(TARGET_MODEL) if model_name is not None else None)

    def write(self, metrics: Metrics, status: int, error: str | None) -> None:
        """Write the log line, and add the request to the metrics.

        error: the error_type, followed by the message of a RequestError; None if the request succeeded.
        """
        trace = self.trace
        precision = "+".join(sorted(trace.precisions)) or "none"
        metrics.requests.labels(str(status), self.form, precision).inc()
        for stage, seconds in trace.stages.items():
            metrics.of_stage[stage].observe(seconds)
        fields = {
            "request_id": self.request_id,
            "status": status,
            "form": self.form,
            "precision": precision,
            "windows": trace.windows,
            "tokens": trace.tokens,
            "rungs": sorted(set(trace.rungs)),
            **{f"{stage}_ms": round(seconds * 1000, 2) for stage, seconds in trace.stages.items()},
        }
        if self.model_name is not None:
            fields["model"] = self.model_name
            fields["target_model"] = self.target_model
        if error:
            fields["error"] = error
        log.log(logging.ERROR if status == 500 else logging.INFO, "invocation", extra=fields)
