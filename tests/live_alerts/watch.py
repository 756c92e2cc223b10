"""Watches the alerts of Prometheus, and plays faults: wait until their alerts fire, end the fault, and wait again."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from tests.observability import Prometheus

POLL_SECONDS = 1.0
LIMIT_SECONDS = 1200.0  # the slowest alert, BertQaLaneLost, stops ten minutes after the fault

Alert = tuple[str, str]  # its name and its job


@dataclass
class Case:
    """A fault, and the alerts that it must fire.

    Attributes:
        job: of the server that has the fault.
        alerts: must fire and stop.
        fault: in words, for the table.
        begin: makes the fault; the end of the block ends it. It may be called once.
        prepare: what runs before the fault and after it, such as a server that is healthy.
        ports: of the job.
        may_fire: alerts with windows of hours, which the fault fires too. They stop too late to wait for them.
    """

    job: str
    alerts: tuple[str, ...]
    fault: str
    begin: Callable[[], AbstractContextManager[object]]
    prepare: Callable[[], AbstractContextManager[object]] = nullcontext
    ports: Sequence[int] = ()
    may_fire: tuple[str, ...] = ()


@dataclass
class Row:
    """An alert of a case, and after how many seconds it fired and stopped; None if it did not."""

    alert: str
    fault: str
    fired: float | None = None
    stopped: float | None = None


@dataclass
class Watch:
    """Asks each Prometheus every second which alerts fire. Use it as a context manager."""

    all_running: Sequence[Prometheus]
    firing: set[Alert] = field(default_factory=set)
    has_fired: set[Alert] = field(default_factory=set)
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def play(self, case: Case) -> list[Row]:
        """Begin a fault, wait until its alerts fire, end it, and wait until they have stopped."""
        rows = [Row(alert, case.fault) for alert in case.alerts]
        with case.begin():
            began = time.monotonic()
            say(f"the fault of {', '.join(case.alerts)} has begun")
            for row in self._wait(case, rows, is_firing=True):
                row.fired = time.monotonic() - began
                say(f"{row.alert} fires {row.fired:.0f} s after its fault began")
            ended = time.monotonic()  # some faults end with the start of a server, which takes a while
        for row in self._wait(case, [row for row in rows if row.fired is not None], is_firing=False):
            row.stopped = time.monotonic() - ended
            say(f"{row.alert} has stopped {row.stopped:.0f} s after its fault ended")
        return rows

    def _wait(self, case: Case, rows: Sequence[Row], *, is_firing: bool) -> Iterator[Row]:
        """Yield each row once its alert fires, or no longer fires. Give up after LIMIT_SECONDS."""
        waiting, end = list(rows), time.monotonic() + LIMIT_SECONDS
        while waiting and time.monotonic() < end:
            for row in list(waiting):
                if ((row.alert, case.job) in self.firing) is is_firing:
                    waiting.remove(row)
                    yield row
            time.sleep(POLL_SECONDS)
        for row in waiting:
            say(f"waited in vain until {row.alert} {'fires' if is_firing else 'stops'}")

    def unexpected(self, cases: Sequence[Case], others: Collection[Alert]) -> list[str]:
        """Return the alerts that fired although no fault should fire them. others: may have fired too."""
        expected = {(alert, case.job) for case in cases for alert in (*case.alerts, *case.may_fire)}.union(others)
        return sorted(f"`{alert}` of {job}" for alert, job in self.has_fired - expected)

    def _run(self) -> None:
        while not self._done.wait(POLL_SECONDS):
            try:
                now = {alert for running in self.all_running for alert in running.firing()}
            except OSError as error:  # on a busy machine, an answer may take too long
                say(f"Prometheus did not answer: {error}")
                continue
            for alert, job in sorted(now ^ self.firing):
                say(f"{alert} of {job or 'no job'} {'fires' if (alert, job) in now else 'has stopped'}")
            self.firing = now
            self.has_fired |= now


def say(text: str) -> None:
    """Print a line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
