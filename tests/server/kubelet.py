"""What Kubernetes does with one pod, with the timings of deploy/kubernetes.yaml: probes, endpoints, and the end.

The kubelet's part is https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and, for the end, the section
"Termination of Pods". The endpoints forget a pod as late as the manifest allows: when `preStop` ends.
"""

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from tools.local_server import LocalServer

MANIFEST = Path(__file__).parents[2] / "deploy" / "kubernetes.yaml"
(DEPLOYMENT,) = (one for one in yaml.safe_load_all(MANIFEST.read_text()) if one["kind"] == "Deployment")
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]
DEFAULT_FAILURE_THRESHOLD = 3


@dataclass
class Probe:
    """One probe of the manifest, and the results that it had."""

    name: str
    server: LocalServer
    results: list[bool] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The time between two calls."""
        period: float = CONTAINER[self.name]["periodSeconds"]
        return period

    @property
    def threshold(self) -> int:
        """How many failures in a row the kubelet waits for."""
        number: int = CONTAINER[self.name].get("failureThreshold", DEFAULT_FAILURE_THRESHOLD)
        return number

    @property
    def has_failed(self) -> bool:
        """Whether there were so many failures in a row that the kubelet acts."""
        rows, longest = 0, 0
        for result in self.results:
            rows = 0 if result else rows + 1
            longest = max(longest, rows)
        return longest >= self.threshold

    def call(self) -> bool:
        """Send one request, as the kubelet does: on a new connection, and with the probe's own time limit."""
        spec = CONTAINER[self.name]
        with contextlib.suppress(httpx.TransportError):
            response = httpx.get(f"{self.server.url}{spec['httpGet']['path']}", timeout=spec["timeoutSeconds"])
            self.results.append(200 <= response.status_code < 400)
            return self.results[-1]
        self.results.append(False)
        return False

    def until_success(self) -> None:
        """Call until the first success, or until the kubelet would kill the container."""
        while not self.call() and not self.has_failed:
            time.sleep(self.seconds)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Call at every period, in a thread."""
        ended = threading.Event()

        def run() -> None:
            while not ended.is_set():
                self.call()
                ended.wait(self.seconds)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class Service:
    """The endpoints of a Service, which take turns. A connection goes to one that is in the list at that moment."""

    def __init__(self, servers: list[LocalServer]) -> None:
        self._servers = servers
        self._lock = threading.Lock()

    def connect(self) -> tuple[http.client.HTTPConnection, LocalServer]:
        """Open a connection, which stays open when its endpoint is removed."""
        with self._lock:
            self._servers = [*self._servers[1:], self._servers[0]]
            server = self._servers[-1]
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            connection.connect()
        return connection, server

    def remove(self, server: LocalServer) -> None:
        """Open no more connections to a server."""
        with self._lock:
            self._servers = [one for one in self._servers if one is not server]


@dataclass
class Answer:
    """What a client got: the server, when the request was sent and answered, and the status."""

    server: LocalServer
    sent_at: float
    answered_at: float
    status: int


class Clients:
    """Clients that ask the Service one question after the other. Half of them open a connection for each."""

    def __init__(self, service: Service, body: dict[str, str], count: int) -> None:
        self.answers: list[Answer] = []
        self.lost: list[str] = []
        self._service = service
        self._body = json.dumps(body).encode()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number % 2 == 0,)) for number in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, keeps_connection: bool) -> None:
        connection, server = None, None
        while not self._ended.is_set():
            is_used = connection is not None
            sent_at = time.monotonic()
            try:
                if connection is None or server is None:
                    connection, server = self._service.connect()
                status, stays_open = self._ask(connection, keeps_connection)
            except (OSError, http.client.HTTPException) as error:
                if connection is not None:
                    connection.close()
                connection = None
                # HTTP allows a server to close a connection between two requests. A client then sends the request
                # again (RFC 9112, section 9.3.1). A new connection that is closed has lost its request.
                if not (is_used and isinstance(error, http.client.RemoteDisconnected | ConnectionError)):
                    self.lost.append(repr(error))
                continue
            self.answers.append(Answer(server, sent_at, time.monotonic(), status))
            if not stays_open:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, keeps_connection: bool) -> tuple[int, bool]:
        headers = {"Content-Type": "application/json"} | ({} if keeps_connection else {"Connection": "close"})
        connection.request("POST", "/invocations", self._body, headers)
        response = connection.getresponse()
        response.read()
        return response.status, keeps_connection and not response.will_close


@dataclass
class Ending:
    """How a pod ended. Times are of time.monotonic."""

    deleted_at: float
    stopped_at: float  # SIGTERM
    ended_at: float
    exit_code: int | None  # None if it had to be killed


def delete_pod(server: LocalServer, service: Service) -> float:
    """Begin to delete a pod: run `preStop`, and then remove the endpoint. Return when the deletion began."""
    deleted_at = time.monotonic()
    subprocess.run(CONTAINER["lifecycle"]["preStop"]["exec"]["command"], check=True)
    service.remove(server)
    return deleted_at


def stop_container(server: LocalServer, deleted_at: float) -> Ending:
    """Send SIGTERM, and SIGKILL when `terminationGracePeriodSeconds` since the beginning of the deletion are over."""
    stopped_at = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    left_seconds = POD["terminationGracePeriodSeconds"] - (stopped_at - deleted_at)
    try:
        exit_code = server.process.wait(left_seconds)
    except subprocess.TimeoutExpired:
        server.process.kill()
        exit_code = None
    return Ending(deleted_at, stopped_at, time.monotonic(), exit_code)
