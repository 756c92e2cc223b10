"""The Prometheus metrics of one model. docs/metrics.md explains each of them.

Labels are few and known in advance; no text of a request is ever a label. A server with one model has at most 400
series, whatever the number of its cores.
"""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

# Seconds: from a refusal, which takes less than a millisecond, to the platform's limit of 60 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
PART_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)  # of what is a part of a request
F1_BUCKETS = (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)
LOGIT_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
TOKEN_BUCKETS = (32, 64, 128, 192, 256, 384, 512)
STAGES = ("read", "parse", "tokenize", "queue", "inference", "rank")
OUTCOMES = ("answered", "refused", "client_error", "failed")
REFUSED = (429, 503, 507)  # the client did nothing wrong, and may succeed later or elsewhere

disable_created_metrics()  # type: ignore[no-untyped-call]  # else each series of a counter or a histogram has a second one


def outcome_of(status: int) -> str:
    """Return the outcome of a request with this status."""
    if status < 400:
        return "answered"
    if status in REFUSED:
        return "refused"
    return "failed" if status >= 500 else "client_error"


class RequestMetrics:
    """The metrics of requests and of the HTTP process. Those of a request that belongs to no model have no others."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._add_requests()
        self._add_answers()
        self._add_server()

    def _add_requests(self) -> None:
        self.requests = Counter(
            "bertqa_requests", "Requests that have ended, by HTTP status.", ["status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "bertqa_request_seconds",
            "Time from a request's head to its response, in seconds, by outcome.",
            ["outcome"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.of_outcome = {outcome: self.request_seconds.labels(outcome) for outcome in OUTCOMES}
        self.refusals = Counter(
            "bertqa_refusals", "Requests that were refused, by reason.", ["reason"], registry=self.registry
        )
        self.requests_in_flight = Gauge(
            "bertqa_requests_in_flight", "Requests with questions that are in work now.", registry=self.registry
        )

    def _add_answers(self) -> None:
        self.answered_requests = Counter(
            "bertqa_answered_requests",
            "Requests that were answered, by form and precision.",
            ["form", "precision"],
            registry=self.registry,
        )
        self.failed_lines = Counter(
            "bertqa_failed_lines",
            "Lines of JSON Lines that were answered with an error object, by the type of the error.",
            ["error_type"],
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "bertqa_stage_seconds",
            "Time that a request spent in each stage, in seconds.",
            ["stage"],
            buckets=PART_BUCKETS,
            registry=self.registry,
        )
        self.of_stage = {stage: self.stage_seconds.labels(stage) for stage in STAGES}

    def _add_server(self) -> None:
        self.body_bytes_in_flight = Gauge(
            "bertqa_body_bytes_in_flight",
            "Bytes that the bodies of all unanswered requests hold of MAX_BODIES_MB.",
            registry=self.registry,
        )
        self.connections = Gauge("bertqa_connections", "Connections that are open now.", registry=self.registry)
        self.build_info = Gauge(
            "bertqa_build_info", "1, with the versions of the server.", ["version", "python"], registry=self.registry
        )
        self.process_cpu_seconds = Counter(
            "bertqa_process_cpu_seconds",
            "CPU time of all processes of a kind, in seconds.",
            ["process"],
            registry=self.registry,
        )
        self.process_resident_memory_bytes = Gauge(
            "bertqa_process_resident_memory_bytes",
            "Resident memory of all processes of a kind, in bytes; shared memory counts for each.",
            ["process"],
            registry=self.registry,
        )
        self.processes = Gauge("bertqa_processes", "Running processes of a kind.", ["process"], registry=self.registry)

    def request(self, status: int, seconds: float, refusal: str | None, trace_id: str | None) -> None:
        """Count a request that has ended.

        refusal: the reason, if it was refused. trace_id: of the trace to which the request belongs, if there is one.
        """
        self.requests.labels(str(status)).inc()
        exemplar = {"trace_id": trace_id} if trace_id else None
        self.of_outcome[outcome_of(status)].observe(seconds, exemplar)
        if refusal:
            self.refusals.labels(refusal).inc()

    def answered(self, form: str, precisions: Collection[str]) -> None:
        """Count an answer by the form of its request, and by its precision."""
        precision = "mixed" if len(precisions) > 1 else next(iter(precisions), "none")
        self.answered_requests.labels(form, precision).inc()


class Metrics(RequestMetrics):
    """All counters, histograms and gauges of one model, in a registry of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._add_windows()
        self._add_lanes()
        self._add_model()
        self._add_guard()

    def _add_windows(self) -> None:
        self.windows = Counter(
            "bertqa_windows", "Windows that were run.", ["lane_kind", "precision"], registry=self.registry
        )
        self.batches = Counter(
            "bertqa_batches",
            "Calls of the model with several windows, by the number of windows.",
            ["windows"],
            registry=self.registry,
        )
        self.window_seconds = Histogram(
            "bertqa_window_seconds",
            "Time that one window's pass took, in seconds; in a call with several windows, its share.",
            ["precision"],
            buckets=PART_BUCKETS,
            registry=self.registry,
        )
        self.window_tokens = Histogram(
            "bertqa_window_tokens",
            "Length of the windows that were run, in tokens, with padding.",
            buckets=TOKEN_BUCKETS,
            registry=self.registry,
        )
        self.queue_windows = Gauge("bertqa_queue_windows", "Windows that wait for a lane.", registry=self.registry)
        self.queue_delay_seconds = Gauge(
            "bertqa_queue_delay_seconds",
            "Length of the queue: the estimated delay of a new request of one window, in seconds.",
            registry=self.registry,
        )

    def _add_lanes(self) -> None:
        self.lanes_planned = Gauge(
            "bertqa_lanes_planned", "Lanes of the plan, by kind.", ["lane_kind"], registry=self.registry
        )
        self.lanes_up = Gauge(
            "bertqa_lanes_up", "Lanes whose process is running, by kind.", ["lane_kind"], registry=self.registry
        )
        self.lane_busy_seconds = Counter(
            "bertqa_lane_busy_seconds",
            "Time in which lanes have run windows, in seconds, by kind.",
            ["lane_kind"],
            registry=self.registry,
        )
        self.lane_restarts = Counter(
            "bertqa_lane_restarts",
            "Lane processes that were lost and replaced, by kind.",
            ["lane_kind"],
            registry=self.registry,
        )

    def _add_model(self) -> None:
        self.ready = Gauge("bertqa_ready", "1 while /ping answers 200.", registry=self.registry)
        self.model_info = Gauge(
            "bertqa_model_info",
            "1 for each precision that is served, with what was loaded.",
            ["name", "precision", "engine", "sha256"],
            registry=self.registry,
        )
        self.passed_over = Gauge(
            "bertqa_precision_passed_over",
            "1 for a precision that the artifact holds but the server does not serve, with the reason.",
            ["precision", "reason"],
            registry=self.registry,
        )
        self.rungs_planned = Gauge("bertqa_rungs_planned", "Rungs of the ladder.", registry=self.registry)
        self.rungs_warm = Gauge(
            "bertqa_rungs_warm",
            "Rungs that are warm on every lane of a kind.",
            ["lane_kind", "precision"],
            registry=self.registry,
        )
        self.window_cost_seconds = Gauge(
            "bertqa_window_cost_seconds",
            "Expected time of a pass over a window of the longest rung, in seconds.",
            ["lane_kind", "precision"],
            registry=self.registry,
        )

    def _add_guard(self) -> None:
        self.guard_answers = Counter(
            "bertqa_guard_answers",
            "INT8 answers selected to be run again in FP32: agree, differ, or skipped.",
            ["result"],
            registry=self.registry,
        )
        self.guard_f1 = Histogram(
            "bertqa_guard_f1", "F1 between the INT8 and the FP32 answer.", buckets=F1_BUCKETS, registry=self.registry
        )
        self.guard_logit_rms = Histogram(
            "bertqa_guard_logit_rms",
            "Root-mean-square difference between the INT8 and FP32 logits of the context.",
            buckets=LOGIT_BUCKETS,
            registry=self.registry,
        )
        self.guard_share = Gauge(
            "bertqa_guard_share",
            "Share of all INT8 answers since the start that were run again.",
            registry=self.registry,
        )

    def window(self, lane_kind: str, precision: str, rung: int, seconds: float) -> None:
        """Count one window's pass."""
        self.windows.labels(lane_kind, precision).inc()
        self.window_seconds.labels(precision).observe(seconds)
        self.window_tokens.observe(rung)
        self.lane_busy_seconds.labels(lane_kind).inc(seconds)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return all metrics of a registry and their media type, in the format that the header Accept asks for.

    It is Prometheus' text format, or OpenMetrics', which alone has exemplars.
    """
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type
