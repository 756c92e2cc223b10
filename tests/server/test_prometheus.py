"""Debian's Prometheus scrapes a real server under load: counters, dashboards, rules, and four of the symptoms.

test_runbook.py produces the others. Each fires its alert.
"""

import concurrent.futures
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.observability import Prometheus, panel_expressions, program, prometheus, rules, runbook_queries, selectors
from tests.server.questions import BODY, long_body, post
from tests.server.server_process import metric_lines, server_processes
from tests.waiting import wait_until
from tools.local_server import LocalServer

LOAD_SECONDS = 120
CHOSEN = {
    "GUARD_SHARE": "1",
    "RUNG_STEP": "128",
    "MAX_BATCH_WINDOWS": "1",
    "REQUEST_TIMEOUT_SECONDS": "4",
    "MAX_QUEUE_SECONDS": "1",
}


@pytest.fixture(scope="module")
def scraped_server(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    program("prometheus")
    with LocalServer(demo_dir, CHOSEN, log=tmp_path_factory.mktemp("scraped") / "log") as server:
        server.wait_until_warm()
        yield server


@pytest.fixture(scope="module")
def running(scraped_server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus([scraped_server.port], tmp_path_factory.mktemp("prometheus")) as started:
        yield started


def ask_both(server: LocalServer) -> Counter[str]:
    """Send a question and a request without one, and count their statuses."""
    return Counter(str(post(server, body).status_code) for body in (BODY, {}))


def requests_by_status(server: LocalServer) -> Counter[str]:
    lines = metric_lines(server, "bertqa_requests_total{")
    return Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in lines})


@pytest.fixture(scope="module")
def load(scraped_server: LocalServer, running: Prometheus) -> tuple[Counter[str], Counter[str]]:
    """What two clients have counted, and by how much the server's counters have grown."""
    before, end = requests_by_status(scraped_server), time.monotonic() + LOAD_SECONDS

    def ask(number: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        while not seen or time.monotonic() < end:
            seen += ask_both(scraped_server)
            time.sleep(0.1 * number)  # idle time for the guard
        return seen

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        counts = sum(threads.map(ask, (1, 2)), Counter())
    return counts, requests_by_status(scraped_server) - before


def test_the_counters_agree_with_those_of_the_clients(load: tuple[Counter[str], Counter[str]]) -> None:
    counted, grown = load
    assert counted == grown
    assert {"200", "422"} <= set(counted)  # a machine that is busy with something else may be too slow for some


def test_every_selector_of_every_panel_and_rule_returns_data(
    load: tuple[Counter[str], Counter[str]], running: Prometheus
) -> None:
    wait_until("the last rule was evaluated", lambda: bool(running.query("job:bertqa_slow:ratio_rate3d")))
    expressions = {**panel_expressions(), **{name: rule["expr"] for name, rule in rules().items()}}
    for name, expression in expressions.items():
        for selector in selectors(expression):
            returns_data(running, f"{name}: {selector}", selector)


def returns_data(running: Prometheus, what: str, query: str) -> None:
    """Wait until a query returns data. After a scrape that took too long, it returns none until the next one."""
    wait_until(f"Prometheus has data for {what}", lambda: bool(running.query(query)))


def test_every_panel_shows_numbers(
    load: tuple[Counter[str], Counter[str]], scraped_server: LocalServer, running: Prometheus
) -> None:
    def shows_numbers(expression: str) -> bool:
        ask_both(scraped_server)  # the panels show the last 30 s
        return any(math.isfinite(value) for value in running.values(expression))

    for name, expression in panel_expressions().items():
        wait_until(f"{name} shows a number", lambda expression=expression: shows_numbers(expression), poll_seconds=0.5)


def test_every_recorded_series_has_numbers(load: tuple[Counter[str], Counter[str]], running: Prometheus) -> None:
    recorded = [name for name, rule in rules().items() if "record" in rule]
    assert all(math.isfinite(value) for name in recorded for value in running.values(name))
    if not any(status.startswith("5") for status in load[0]):
        unavailable = "job:bertqa_unavailable:ratio_rate5m"
        returns_data(running, unavailable, unavailable)
        assert set(running.values(unavailable)) <= {0.0}


def test_exemplars_reach_prometheus(scraped_server: LocalServer, running: Prometheus) -> None:
    headers = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}

    def trace_ids() -> set[str]:
        httpx.post(f"{scraped_server.url}/invocations", json=BODY, headers=headers)
        now = time.time()
        found = running.get("query_exemplars", query="bertqa_request_seconds_bucket", start=now - 60, end=now + 1)
        return {exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]}

    wait_until("the exemplar has arrived", lambda: "ab" * 16 in trace_ids(), poll_seconds=0.5)


@pytest.mark.parametrize(
    "entry", ["Slow answers", "INT8 disagrees with FP32", "Memory", "A batch is stuck", "A deployment has failed"]
)
def test_the_queries_of_the_runbook_return_data(
    load: tuple[Counter[str], Counter[str]], running: Prometheus, entry: str
) -> None:
    for query in runbook_queries(entry):
        returns_data(running, f"{entry}: {query}", query)


def show(running: Prometheus, entry: str) -> None:
    """Wait until the query of an entry of the runbook shows its symptom."""
    (query,) = runbook_queries(entry)
    returns_data(running, entry, query)


def test_three_times_the_load_shows_refusals_which_are_not_among_the_answers(
    scraped_server: LocalServer, running: Prometheus
) -> None:
    show_nothing = runbook_queries("Refusals: 429 and 503")[0]
    assert not running.query(show_nothing)
    wait_until("Prometheus is up to date", lambda: observations(running) == observed(scraped_server))
    before = observed(scraped_server)
    with concurrent.futures.ThreadPoolExecutor(80) as threads:
        statuses = Counter(threads.map(lambda _: post(scraped_server, long_body(150)).status_code, range(160)))
    assert statuses[429] > 0
    assert statuses[200] > 0
    show(running, "Refusals: 429 and 503")
    refused = 'increase(bertqa_refusals_total{reason=~"queue|deadline"}[5m])'
    wait_until("Prometheus has the reasons", lambda: sum(running.values(refused)) > 0)
    expected = before + Counter({"answered": statuses[200], "refused": statuses.total() - statuses[200]})
    wait_until("Prometheus has each outcome in its own histogram", lambda: observations(running) == expected)
    running.wait_until_firing("BertQaAvailabilityBurnsBudgetFast")
    running.wait_until_firing("BertQaRefusals")


def observations(running: Prometheus) -> Counter[str]:
    """How many requests the latency histograms of two outcomes contain: of answers, and of refusals."""
    samples = running.query("sum by (outcome) (bertqa_request_seconds_count)")
    counts = Counter({sample["metric"]["outcome"]: int(float(sample["value"][1])) for sample in samples})
    return Counter({outcome: counts[outcome] for outcome in ("answered", "refused")})


def observed(server: LocalServer) -> Counter[str]:
    """The same, as the server itself reports it."""
    lines = metric_lines(server, "bertqa_request_seconds_count{")
    counts = Counter({line.split('"')[1]: int(float(line.split()[-1])) for line in lines})
    return Counter({outcome: counts[outcome] for outcome in ("answered", "refused")})


def test_lanes_that_stop_show_504s_and_fire_their_alert(scraped_server: LocalServer, running: Prometheus) -> None:
    assert ("BertQaLaneLost", "bert-qa") not in running.firing()
    found = server_processes(scraped_server)
    for each in (found.zygote, *found.lanes):  # lanes that hang are replaced, but not before a new zygote runs
        each.suspend()
    assert post(scraped_server, BODY).status_code == 504
    show(running, "Timeouts: 504")
    show(running, "Lanes restart")
    running.wait_until_firing("BertQaLaneLost")


def test_a_server_that_has_ended_is_not_ready(scraped_server: LocalServer, running: Prometheus) -> None:
    scraped_server.stop()
    show(running, "Not ready")
    running.wait_until_firing("BertQaDown")
