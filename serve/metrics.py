"""Prometheus metrics of one server. Labels are few and known in advance; no text of a request is ever one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# Seconds. From a refusal (sub-millisecond) to the platform's 60 s.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
F1_BUCKETS = (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)
LOGIT_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
STAGES = ("parse", "tokenize", "queue", "inference", "rank", "total")


class Metrics:
    """All counters, histograms and gauges, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "bertqa_requests", "Answered requests.", ["status", "form", "precision"], registry=self.registry
        )
        self.stage_seconds = Histogram(
            "bertqa_stage_seconds", "Time of a request by stage.", ["stage"], buckets=BUCKETS, registry=self.registry
        )
        self.of_stage = {stage: self.stage_seconds.labels(stage) for stage in STAGES}
        self.windows = Counter("bertqa_windows", "Windows run.", ["lane", "precision", "rung"], registry=self.registry)
        self.window_seconds = Histogram(
            "bertqa_window_seconds", "One window's pass.", ["precision"], buckets=BUCKETS, registry=self.registry
        )
        self.lane_restarts = Counter(
            "bertqa_lane_restarts", "Lanes that ended and were replaced.", ["lane"], registry=self.registry
        )
        self.queue_windows = Gauge("bertqa_queue_windows", "Windows that wait for a lane.", registry=self.registry)
        self.queue_delay_seconds = Gauge(
            "bertqa_queue_delay_seconds", "Time until a new one-window request would start.", registry=self.registry
        )
        self.ready = Gauge("bertqa_ready", "1 while /ping answers 200.", registry=self.registry)
        self.passed_over = Gauge(
            "bertqa_precision_passed_over",
            "1 for a precision that the artifact holds and that is not served, with the reason.",
            ["precision", "reason"],
            registry=self.registry,
        )
        self.rungs_planned = Gauge(
            "bertqa_rungs_planned", "Rungs of the ladder.", ["precision"], registry=self.registry
        )
        self.rungs_warm = Gauge("bertqa_rungs_warm", "Rungs warm.", ["lane", "precision"], registry=self.registry)
        self.lane_up = Gauge("bertqa_lane_up", "1 while the lane's process lives.", ["lane"], registry=self.registry)
        self.rung_cost_seconds = Gauge(
            "bertqa_rung_cost_seconds", "Price of a pass.", ["width", "precision", "rung"], registry=self.registry
        )

        self.guard_answers = Counter(
            "bertqa_guard_answers",
            "INT8 answers drawn to be run again in FP32: agree, differ, or skipped for want of idle time.",
            ["outcome"],
            registry=self.registry,
        )
        self.guard_f1 = Histogram(
            "bertqa_guard_f1", "F1 of INT8's and FP32's answer.", buckets=F1_BUCKETS, registry=self.registry
        )
        self.guard_logit_rms = Histogram(
            "bertqa_guard_logit_rms",
            "Root-mean-square difference of INT8's and FP32's context logits.",
            buckets=LOGIT_BUCKETS,
            registry=self.registry,
        )
        self.guard_share = Gauge(
            "bertqa_guard_share", "INT8 answers that were run again, of all since the start.", registry=self.registry
        )

    def window(self, lane: str, precision: str, rung: int, seconds: float) -> None:
        """Count one window's pass."""
        self.windows.labels(lane, precision, str(rung)).inc()
        self.window_seconds.labels(precision).observe(seconds)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
