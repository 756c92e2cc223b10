"""The Prometheus metrics of requests and of the HTTP process. docs/metrics.md explains each of them."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from serve.deferred_counts import DeferredCounts

# Seconds: from a refusal, which takes less than a millisecond, to the platform's limit of 60 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
PART_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60)  # of what is a part of a request
STAGES = ("read", "parse", "tokenize", "queue", "inference", "rank")
OUTCOMES = ("answered", "refused", "client_error", "failed")
REFUSALS = ("queue", "deadline", "bodies", "connections", "pipelining", "not_ready", "memory")
WATCHED = (200, 429, 500, 503, 504)  # statuses that have a series from the start
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
        self.deferred = DeferredCounts()
        self.registry.register(self.deferred)  # before all metrics
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
        for reason in REFUSALS:  # an increase is seen only if the series was there before
            self.refusals.labels(reason)
        self._of_status = {status: self.requests.labels(str(status)) for status in WATCHED}
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
        self.memory_free_bytes = Gauge(
            "bertqa_memory_free_bytes",
            "Memory that is unused, on the machine and within the container's limit, in bytes.",
            registry=self.registry,
        )
        self.processes = Gauge("bertqa_processes", "Running processes of a kind.", ["process"], registry=self.registry)

    def request(self, status: int, seconds: float, refusal: str | None, trace_id: str | None) -> None:
        """Count a request that has ended.

        refusal: the reason, if it was refused. trace_id: of the trace that has spans of the request, if there is one.
        """
        (self._of_status.get(status) or self.requests.labels(str(status))).inc()
        exemplar = {"trace_id": trace_id} if trace_id else None
        self.of_outcome[outcome_of(status)].observe(seconds, exemplar)
        if refusal:
            self.refusals.labels(refusal).inc()

    def answered(self, form: str, precisions: Collection[str]) -> None:
        """Count an answer by the form of its request, and by its precision."""
        precision = "mixed" if len(precisions) > 1 else next(iter(precisions), "none")
        self.answered_requests.labels(form, precision).inc()
