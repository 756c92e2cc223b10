"""The Prometheus metrics of one model. docs/metrics.md explains each of them.

Labels are few and known in advance; no text of a request is ever a label. A server with one model has at most 400
series, whatever the number of its cores.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from serve.request_metrics import PART_BUCKETS, RequestMetrics

F1_BUCKETS = (0.0, 0.25, 0.5, 0.75, 0.99, 1.0)
LOGIT_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
TOKEN_BUCKETS = (32, 64, 128, 192, 256, 384, 512)


class Metrics(RequestMetrics):
    """All counters, histograms and gauges of one model, in a registry of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._of_window: dict[tuple[str, str], tuple[Counter, Histogram, Counter]] = {}
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
        """Note one window's pass, to be counted later."""
        self.deferred.add(self._count_window, lane_kind, precision, rung, seconds)

    def _count_window(self, lane_kind: str, precision: str, rung: int, seconds: float) -> None:
        found = self._of_window.get((lane_kind, precision))
        if found is None:  # looking the labels up each time would take longer than counting
            found = (
                self.windows.labels(lane_kind, precision),
                self.window_seconds.labels(precision),
                self.lane_busy_seconds.labels(lane_kind),
            )
            self._of_window[lane_kind, precision] = found
        windows, window_seconds, busy_seconds = found
        windows.inc()
        window_seconds.observe(seconds)
        busy_seconds.inc(seconds)
        self.window_tokens.observe(rung)


def exposition(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return all metrics of a registry and their media type, in the format that the header Accept asks for.

    It is Prometheus' text format, or OpenMetrics', which alone has exemplars.
    """
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type
