"""A healthy server under load: its counters agree with the load generator's, and dashboards and rules have data."""

import asyncio
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.live_alerts.watch import say
from tests.observability import Prometheus, panel_expressions, rules, selectors
from tests.server.guarded import questions
from tests.waiting import wait_until
from tools.benchmark.load_generator import Sample, open_loop
from tools.local_server import LocalServer

REQUESTS_PER_SECOND = 10.0  # about a tenth of what two cores answer
QUESTIONS = 19  # and one request without a question
UP_TO_DATE_SECONDS = 60
SLOW_MS, MOST_SLOW = 500, 0.01  # the objective of the latency
OUTCOMES = {200: "answered", 422: "client_error"}


@dataclass(frozen=True)
class Comparison:
    """By how much a counter has grown, and what the load generator has counted."""

    name: str
    grown: float
    counted: float

    @property
    def difference(self) -> float:
        """The difference as a share of the load generator's count."""
        return abs(self.grown - self.counted) / self.counted if self.counted else math.inf


class Healthy:
    """The server, and what is asked of it. Use it as a context manager.

    is_slow: whether the load generator itself found that the objective of the latency is missed, as on a machine that
    is busy with other programs. Then the alerts for slow answers are right.
    """

    job = "bert-qa/healthy"

    def __init__(self, model_dir: Path, log: Path) -> None:
        self.is_slow = False
        self.server = LocalServer(model_dir, {"MAX_BATCH_WINDOWS": "1"}, log=log)

    def __enter__(self) -> "Healthy":
        self.server.__enter__()
        self.server.wait_until_warm(600)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def load(self, running: Prometheus, seconds: float, progress_seconds: float) -> list[Comparison]:
        """Send requests for this time, and compare the counters of the server and of Prometheus with their number."""
        before = counters(self.server)
        bodies = [json.dumps(each).encode() for each in (*questions(QUESTIONS), {})]
        begin, done = time.monotonic(), itertools.count(1)
        shown_at = begin

        def on_done(_: Sample) -> None:
            nonlocal shown_at
            number, now = next(done), time.monotonic()
            if now - shown_at > progress_seconds:
                shown_at = now
                say(f"{self.job}: {number} requests after {now - begin:.0f} s")

        load = asyncio.run(open_loop(self.server.url, bodies, REQUESTS_PER_SECOND, seconds=seconds, on_done=on_done))
        statuses = Counter(sample.status for sample in load.samples)
        slow = sum(each > SLOW_MS for each in load.answered_ms) / len(load.answered_ms)
        self.is_slow = slow > MOST_SLOW
        say(f"{self.job}: {100 * slow:.1f} % of the answers took more than {SLOW_MS} ms")
        say(f"{self.job}: {dict(statuses)}; P50 {load.percentile(50):.0f} ms, P99 {load.percentile(99):.0f} ms")
        after = counters(self.server)
        wait_until("Prometheus is up to date", lambda: stored(running, self.job) == after, UP_TO_DATE_SECONDS)
        self._check_selectors(running)
        return compare(statuses, before, after)

    def _check_selectors(self, running: Prometheus) -> None:
        """Check that each selector of each panel and rule returns data."""
        expressions = {**panel_expressions("1m"), **{name: rule["expr"] for name, rule in rules().items()}}
        found = {(name, each) for name, expression in expressions.items() for each in selectors(expression)}
        for name, selector in sorted(found):
            wait_until(f"{name}: {selector} returns data", lambda selector=selector: bool(running.query(selector)))
        say(f"{len({each for _, each in found})} selectors of the panels and rules return data")


Counters = dict[str, float]
NAMES = ("bertqa_requests_total", "bertqa_request_seconds_count", "bertqa_answered_requests_total")


def counters(server: LocalServer) -> Counters:
    """Read the counters of requests from the server: their values, by their name and their labels."""
    text = httpx.get(f"{server.url}/metrics", timeout=60).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {_series(each.name, each.labels): each.value for each in samples if each.name in NAMES}


def stored(running: Prometheus, job: str) -> Counters:
    """Read the same counters from Prometheus."""
    samples = running.query(f'{{__name__=~"{"|".join(NAMES)}",job="{job}"}}')
    return {_series(each["metric"]["__name__"], each["metric"]): float(each["value"][1]) for each in samples}


def _series(name: str, labels: dict[str, str]) -> str:
    inner = ",".join(f'{key}="{labels[key]}"' for key in ("form", "outcome", "precision", "status") if key in labels)
    return f"{name}{{{inner}}}"


def compare(statuses: Counter[int], before: Counters, after: Counters) -> Sequence[Comparison]:
    """Compare by how much the counters have grown with the statuses that the load generator has seen."""
    grown = {name: value - before.get(name, 0.0) for name, value in after.items() if value != before.get(name, 0.0)}
    expected: Counter[str] = Counter()
    for status, number in statuses.items():
        expected[f'bertqa_requests_total{{status="{status}"}}'] += number
        outcome = OUTCOMES.get(status, "refused" if status in (429, 503) else "failed")
        expected[f'bertqa_request_seconds_count{{outcome="{outcome}"}}'] += number
        if status == 200:
            expected['bertqa_answered_requests_total{form="sample",precision="INT8"}'] += number
    return [Comparison(f"`{name}`", grown.get(name, 0), expected[name]) for name in sorted({*grown, *expected})]
