"""Produce the fault of each alert with short windows, and measure when the alert fires and when it stops.

    python -m tests.live_alerts

Real servers of the demo model run beside Debian's Prometheus, which uses the rules and intervals of
deploy/observability as they are. At the same time another server answers questions for ten minutes. Its counters are
compared with those of the load generator, none of its alerts may fire, and each selector of each panel and rule must
return data. This takes about 20 minutes. `--quick` divides all times of the rules by 30, to try the program
itself: other alerts may then fire too, for example while a server starts.

The output ends with tables in Markdown. The exit code is 1 if an alert did not fire or did not stop, if another one
fired, or if counters differ by more than 1 %. The alerts for slow answers may fire on the server without a fault if the
load generator finds too that they are slow.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.live_alerts.faults import SLOW_ANSWERS, Faults
from tests.live_alerts.healthy import Comparison, Healthy
from tests.live_alerts.watch import Row, Watch, say
from tests.observability import AS_THEY_ARE, Pace, prometheus_of, write_targets
from tests.waiting import wait_until

DEMO = Path("build/demo")
QUICK = Pace(1, 30, 30)
LOAD_SECONDS, QUICK_LOAD_SECONDS = 600.0, 30.0
PAUSE_SECONDS = 60.0
MOST_DIFFERENCE = 0.01


def main() -> None:
    """Produce the faults, print the tables, and exit with the verdict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=DEMO, help="directory of the artifact (default: build/demo)")
    parser.add_argument("--quick", action="store_true", help="divide all times of the rules by 30")
    parser.add_argument("--only", nargs="*", default=[], help="names of alerts; produce only their faults")
    parser.add_argument("--logs", type=Path, help="keep the logs in this directory")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logs = given.logs or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        rows, comparisons, unexpected = produce(given, Path(folder), logs)
    print_tables(rows, comparisons, unexpected)
    is_passed = all(row.stopped for row in rows) and not unexpected
    sys.exit(int(not is_passed or any(each.difference > MOST_DIFFERENCE for each in comparisons)))


def produce(given: argparse.Namespace, folder: Path, logs: Path) -> tuple[list[Row], list[Comparison], list[str]]:
    """Produce all faults at the same time, each on a server of its own, beside the healthy server."""
    pace = QUICK if given.quick else AS_THEY_ARE
    with ExitStack() as stack:
        healthy = stack.enter_context(Healthy(given.model_dir, logs / "healthy.log"))
        faults = Faults(given.model_dir, folder, logs, healthy.server.port)
        cases = [case for case in faults.cases() if not given.only or set(given.only) & set(case.alerts)]
        jobs = {healthy.job: folder / "healthy.json"}
        write_targets(jobs[healthy.job], [healthy.server.port])
        for case in cases:
            stack.enter_context(case.prepare())
            if case.ports:
                jobs[case.job] = folder / f"{case.job.rpartition('/')[2]}.json"
                write_targets(jobs[case.job], case.ports)
            say(f"{case.alerts[0]} is prepared")
        (folder / "all").mkdir()
        (folder / "absent").mkdir()
        running = stack.enter_context(prometheus_of(jobs, folder / "all", pace))
        absent = stack.enter_context(prometheus_of({"bert-qa": faults.absent_targets}, folder / "absent", pace))
        wait_until("Prometheus has looked at each server", lambda: len(running.query("up")) == len(jobs), 120)
        watch = stack.enter_context(Watch([running, *([absent] if any(not case.job for case in cases) else [])]))
        say("Prometheus has looked at each server")
        with ThreadPoolExecutor(len(cases) + 1) as threads:
            playing = [threads.submit(watch.play, case) for case in cases]
            seconds, pause = (QUICK_LOAD_SECONDS, 5) if given.quick else (LOAD_SECONDS, PAUSE_SECONDS)
            time.sleep(pause)  # some faults begin with the start of a process, which takes CPU time
            load = threads.submit(healthy.load, running, seconds, pause)
            rows = [row for each in playing for row in each.result()]
            comparisons = load.result()
        slow = {(alert, job) for alert in SLOW_ANSWERS for job in (healthy.job, "bert-qa") if healthy.is_slow}
        unexpected = watch.unexpected(cases, slow)
    return rows, comparisons, unexpected


def print_tables(rows: list[Row], comparisons: list[Comparison], unexpected: list[str]) -> None:
    """Print what was measured, in Markdown."""
    print("\n| alert | fault | fired after, s | stopped after, s |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| `{row.alert}` | {row.fault} | {_seconds(row.fired)} | {_seconds(row.stopped)} |")
    print("\n| counter | grown by | load generator | difference |\n| --- | --- | --- | --- |")
    for each in comparisons:
        print(f"| {each.name} | {each.grown:g} | {each.counted:g} | {100 * each.difference:.2f} % |")
    print("\nAlerts that fired without their fault:", ", ".join(unexpected) or "none", flush=True)


def _seconds(value: float | None) -> str:
    return "not" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    main()
