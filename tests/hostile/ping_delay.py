"""Measure from outside how long /ping is delayed while something happens to a server.

    with PingProcess(server.port) as pings:
        ...
    assert pings.largest_seconds < 0.5

The pings are sent by a process of their own, so that nothing in the test's process delays them. `delays_during` also
measures how large the delays are while nothing happens, which shows what the machine itself contributes.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from select import select

ROOT = Path(__file__).parents[2]
EVERY_SECONDS = 0.02
LONGEST_SECONDS = 60.0  # a ping that takes longer counts as this
CONTROL_SECONDS = 1.0
LIMIT_SECONDS = 0.5
ATTEMPTS = 5  # a machine that is busy with something else delays pings too, but not in each attempt
CONTROL_FACTOR = 4  # the delays while something happens are measured for longer than those while nothing does
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class PingProcess:
    """A process that sends /ping every 20 ms, each on a new connection. Use it as a context manager.

    Attributes, after the block:
        largest_seconds: the longest time from connecting to the whole response.
        count: number of pings.
        statuses: the statuses that came; 0 stands for a connection that failed.
    """

    def __init__(self, port: int) -> None:
        self.largest_seconds = 0.0
        self.count = 0
        self.statuses: set[int] = set()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.ping_delay", str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "PingProcess":
        assert self._process.stdout
        assert self._process.stdout.readline(), "the process that pings did not start"
        return self

    def __exit__(self, *_: object) -> None:
        output, _ = self._process.communicate()  # closes its standard input, which ends it
        result = json.loads(output)
        self.largest_seconds, self.count = result["largest_seconds"], result["count"]
        self.statuses = set(result["statuses"])


@dataclass(frozen=True)
class Delays:
    """The largest delays of /ping, in seconds: while nothing happened, and while something did."""

    control_seconds: float
    seconds: float


def delays_during(port: int, action: Callable[[], object]) -> Delays:
    """Measure /ping for CONTROL_SECONDS in which nothing happens, and then while `action` runs."""
    with PingProcess(port) as control:
        time.sleep(CONTROL_SECONDS)
    with PingProcess(port) as pings:
        action()
    assert pings.count, "action was over before the first ping"
    assert pings.statuses == {200}, f"/ping returned {pings.statuses}"
    return Delays(control.largest_seconds, pings.largest_seconds)


def check_delay(port: int, action: Callable[[], object], limit_seconds: float = LIMIT_SECONDS) -> None:
    """Fail if `action` delays /ping by more than the limit, in each of several attempts.

    What is slow in the server is slow each time. If pings are delayed while nothing happens too, a few times this
    delay is allowed.
    """
    found = []
    for _ in range(ATTEMPTS):
        found.append(delays_during(port, action))
        if found[-1].seconds <= max(limit_seconds, CONTROL_FACTOR * found[-1].control_seconds):
            return
    raise AssertionError(f"/ping was delayed in each attempt: {found}")


def ping(port: int) -> int:
    """Send one ping and return the status, or 0 if the connection fails."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=LONGEST_SECONDS) as connection:
            connection.sendall(PING)
            response = b""
            while data := connection.recv(4096):
                response += data
        return int(response.split(maxsplit=2)[1])
    except (OSError, IndexError, ValueError):
        return 0


def main() -> None:
    """Ping until the standard input closes, then print the figures."""
    port, largest, statuses, count = int(sys.argv[1]), 0.0, set[int](), 0
    print("ready", flush=True)
    while not count or not select([sys.stdin], [], [], EVERY_SECONDS)[0]:
        start = time.perf_counter()
        statuses.add(ping(port))
        largest = max(largest, time.perf_counter() - start)
        count += 1
    print(json.dumps({"largest_seconds": largest, "count": count, "statuses": sorted(statuses)}))


if __name__ == "__main__":
    main()
