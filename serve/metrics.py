"""The Prometheus metrics of one model. docs/metrics.md explains each of them.

Labels are few and known in advance; no text of a request is ever a label.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds: from a refusal, which takes less than a millisecond, to the platform's limit of 60 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
F1_BUCKETS = (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)
LOGIT_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
STAGES = ("parse", "tokenize", "queue", "inference", "rank", "total")


class Metrics:
    """All counters, histograms and gauges, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._add_requests()
        self._add_lanes()
        self._add_model()
        self._add_guard()

    def _add_requests(self) -> None:
        self.requests = Counter(
            "bertqa_requests",
            "Requests that have ended, by status, form and precision.",
            ["status", "form", "precision"],
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
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.of_stage = {stage: self.stage_seconds.labels(stage) for stage in STAGES}

    def _add_lanes(self) -> None:
        self.windows = Counter(
            "bertqa_windows", "Windows that were run.", ["lane", "precision", "rung"], registry=self.registry
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
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.lane_restarts = Counter(
            "bertqa_lane_restarts", "Lane processes that were lost and replaced.", ["lane"], registry=self.registry
        )
        self.queue_windows = Gauge("bertqa_queue_windows", "Windows that wait for a lane.", registry=self.registry)
        self.queue_delay_seconds = Gauge(
            "bertqa_queue_delay_seconds",
            "Estimated queueing delay of a new request of one window, in seconds.",
            registry=self.registry,
        )
        self.lane_up = Gauge(
            "bertqa_lane_up", "1 while the lane's process is running.", ["lane"], registry=self.registry
        )

    def _add_model(self) -> None:
        self.ready = Gauge("bertqa_ready", "1 while /ping answers 200.", registry=self.registry)
        self.passed_over = Gauge(
            "bertqa_precision_passed_over",
            "1 for a precision that the artifact holds but the server does not serve, with the reason.",
            ["precision", "reason"],
            registry=self.registry,
        )
        self.rungs_planned = Gauge(
            "bertqa_rungs_planned", "Rungs of the ladder.", ["precision"], registry=self.registry
        )
        self.rungs_warm = Gauge(
            "bertqa_rungs_warm", "Rungs that are warm.", ["lane", "precision"], registry=self.registry
        )
        self.rung_cost_seconds = Gauge(
            "bertqa_rung_cost_seconds",
            "Expected time of a pass, in seconds.",
            ["width", "precision", "rung"],
            registry=self.registry,
        )

    def _add_guard(self) -> None:
        self.guard_answers = Counter(
            "bertqa_guard_answers",
            "INT8 answers selected to be run again in FP32: agree, differ, or skipped.",
            ["outcome"],
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

    def window(self, lane: str, precision: str, rung: int, seconds: float) -> None:
        """Count one window's pass."""
        self.windows.labels(lane, precision, str(rung)).inc()
        self.window_seconds.labels(precision).observe(seconds)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
