"""Generate load on a server from one process with one event loop.

A closed loop is a number of clients that each wait for the answer before they send the next request. An open loop is a
sequence of arrivals at a given rate, which wait for nothing.

The module sends bytes, and records times and status codes. It knows nothing about questions, precisions or tables. Run
the loops with uvloop.run: it takes a sixth less CPU than asyncio.run, and its requests go out closer to their time.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import numpy as np
from yarl import URL

from tools.benchmark.invocation_api import InvocationApi, PlainHttp

OK, REFUSED, TRANSPORT_ERROR = 200, 429, 0
TIMEOUT_SECONDS = 60  # SageMaker's limit for an invocation
# An idle connection must not be closed by the server while a request goes out on it, since this would count as an
# error. Of all servers that are measured, gunicorn closes connections first, after 2 s.
KEEP_ALIVE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are seconds of time.perf_counter; the status is 0 if there was no HTTP response."""

    intended_at: float
    sent_at: float
    finished_at: float
    status: int

    @property
    def latency_ms(self) -> float:
        """Time from the intended arrival to the answer. It includes the delay of a request that went out late."""
        return (self.finished_at - self.intended_at) * 1000


@dataclass
class Load:
    """The result of one run.

    Attributes:
        samples: one for each request, in order of arrival.
        seconds: the time until the last answer; in an open loop, at least the time of the arrivals.
        generator_cpu_seconds: the CPU time that this process took.
    """

    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    generator_cpu_seconds: float = 0.0

    @property
    def answered_ms(self) -> list[float]:
        """Latencies of the requests that were answered with 200."""
        return [sample.latency_ms for sample in self.samples if sample.status == OK]

    @property
    def queries_per_second(self) -> float:
        """Requests that were answered with 200, divided by the whole time."""
        return len(self.answered_ms) / self.seconds if self.seconds else 0.0

    @property
    def refused(self) -> int:
        """Number of requests that were refused with 429."""
        return sum(sample.status == REFUSED for sample in self.samples)

    @property
    def errors(self) -> dict[int, int]:
        """Number of requests by status, of those that were neither answered nor refused."""
        return dict(Counter(sample.status for sample in self.samples if sample.status not in (OK, REFUSED)))

    def percentile(self, q: float) -> float:
        """Return the latency in ms within which q percent of the answers came; NaN if there were no answers."""
        answered = self.answered_ms
        return float(np.percentile(answered, q)) if answered else float("nan")

    def __add__(self, other: "Load") -> "Load":
        """Return two runs of the same kind as one run."""
        return Load(
            self.samples + other.samples,
            self.seconds + other.seconds,
            self.generator_cpu_seconds + other.generator_cpu_seconds,
        )


OnDone = Callable[[Sample], None]
_Send = Callable[[int, float], Coroutine[None, None, None]]


async def closed_loop(  # noqa: PLR0913  the caller chooses the target, the bodies and the end
    url: str,
    bodies: Sequence[bytes],
    clients: int,
    *,
    requests: int | None = None,
    seconds: float | None = None,
    path: str = "/invocations",
    api: InvocationApi | None = None,
    on_done: OnDone | None = None,
) -> Load:
    """Run clients that each send the next request when they have the answer to the last one.

    Args:
        url: the server, without the path.
        bodies: sent one after the other, again and again.
        clients: how many requests are under way at the same time.
        requests: the loop ends after this number of requests.
        seconds: no request is sent after this time. If requests is given too, the first limit counts.
        path: the path to send to.
        api: how the container is reached at that URL.
        on_done: called after each request.
    """
    if requests is None and seconds is None:
        raise ValueError("a closed loop ends after a number of requests or seconds: give at least one of the two")
    indices = count() if requests is None else iter(range(requests))
    async with _sender(url + path, bodies, api or PlainHttp(), on_done) as (load, send):
        end = time.perf_counter() + (seconds if seconds is not None else float("inf"))

        async def client() -> None:
            for index in indices:  # all clients share one iterator
                now = time.perf_counter()
                if now >= end:
                    return
                await send(index, now)

        await asyncio.gather(*(client() for _ in range(clients)))
    return load


async def open_loop(  # noqa: PLR0913  the caller chooses the target, the bodies and the arrivals
    url: str,
    bodies: Sequence[bytes],
    rate: float,
    *,
    seconds: float,
    seed: int = 0,
    path: str = "/invocations",
    api: InvocationApi | None = None,
    on_done: OnDone | None = None,
) -> Load:
    """Send requests at Poisson arrivals, without waiting for answers; at the end, wait for the last answer.

    Args:
        url: the server, without the path.
        bodies: sent one after the other, again and again.
        rate: arrivals per second.
        seconds: how long requests arrive.
        seed: for the arrivals; the same seed gives the same pattern.
        path: the path to send to.
        api: how the container is reached at that URL.
        on_done: called after each request.
    """
    arrivals = poisson_arrivals(rate, seconds, seed)
    async with (
        _sender(url + path, bodies, api or PlainHttp(), on_done) as (load, send),
        asyncio.TaskGroup() as under_way,
    ):
        begin = time.perf_counter()
        for index, arrival in enumerate(arrivals):
            await _sleep_until(begin + arrival)
            under_way.create_task(send(index, begin + arrival))
    load.seconds = max(load.seconds, seconds)  # the last answer may come before the time is over
    return load


def poisson_arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the arrival times, in seconds from the start, of a Poisson process with exactly rate * seconds arrivals.

    The gaps are exponential, and scaled to fit. So a short run offers exactly the rate that its report states. The same
    seed gives the same pattern at every rate, as long as the number of arrivals is the same.
    """
    number = round(rate * seconds)
    gaps = np.random.default_rng(seed).exponential(size=number + 1)
    arrivals = np.cumsum(gaps)
    return [float(arrival) for arrival in arrivals[:number] * (seconds / arrivals[-1])]


async def _sleep_until(moment: float) -> None:
    """Sleep until a moment of time.perf_counter. uvloop wakes up at most 0.8 ms late, asyncio later.

    uvloop's timers may also end 1 ms early, so the remaining time is checked again.
    """
    while (delay := moment - time.perf_counter()) > 0:
        await asyncio.sleep(delay)
    await asyncio.sleep(0)  # lets the requests under way continue, even if every arrival is late


@asynccontextmanager
async def _sender(
    url: str, bodies: Sequence[bytes], api: InvocationApi, on_done: OnDone | None
) -> AsyncIterator[tuple[Load, _Send]]:
    """Yield an empty Load, and a function that sends body number `index` and adds its sample to the Load.

    At the end, the totals of the Load are filled in.
    """
    load, target = Load(), URL(url)
    _allow_many_connections()
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def send(index: int, intended_at: float) -> None:
            body = bodies[index % len(bodies)]
            sent_at = time.perf_counter()
            try:
                async with session.post(target, data=body, headers=api.headers(url, body)) as response:
                    status = api.status(response.status, await response.read())
            except (aiohttp.ClientError, TimeoutError):
                status = TRANSPORT_ERROR
            sample = Sample(intended_at, sent_at, time.perf_counter(), status)
            load.samples.append(sample)
            if on_done:
                on_done(sample)

        begin, cpu_begin = time.perf_counter(), time.process_time()
        yield load, send
    load.seconds = time.perf_counter() - begin
    load.generator_cpu_seconds = time.process_time() - cpu_begin
    load.samples.sort(key=lambda sample: sample.intended_at)


def _allow_many_connections() -> None:
    """Raise the limit of open files: an overloaded open loop has a connection for each request under way.

    A common soft limit is 1,024.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
