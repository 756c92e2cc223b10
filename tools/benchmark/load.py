"""Load on a server, from one process and one event loop: a closed loop of clients, or an open loop of arrivals.

Knows nothing of questions, precisions or tables: bytes go out, times and statuses come back. tools.benchmark and the
comparisons under benchmarks/ call it, with uvloop.run: a sixth less CPU than asyncio.run, and arrivals more on time.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import aiohttp
import numpy as np
from yarl import URL

OK, REFUSED, TRANSPORT_ERROR = 200, 429, 0
TIMEOUT_SECONDS = 60  # SageMaker gives an invocation as long
# A server that closes an idle connection just when a request goes out on it would count as an error. gunicorn closes
# after 2 s, the shortest of what we measure.
KEEP_ALIVE_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times in seconds of time.perf_counter; status 0 where no HTTP answer came."""

    intended_at: float
    sent_at: float
    finished_at: float
    status: int

    @property
    def latency_ms(self) -> float:
        """From the intended arrival: a request that could not go out in time has waited all the same."""
        return (self.finished_at - self.intended_at) * 1000


@dataclass
class Load:
    """What one run saw, samples in order of arrival. seconds: until the last answer; an open loop's own at least."""

    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    generator_cpu_seconds: float = 0.0

    @property
    def answered_ms(self) -> list[float]:
        """Latencies of the requests that got a 200."""
        return [sample.latency_ms for sample in self.samples if sample.status == OK]

    @property
    def queries_per_second(self) -> float:
        """Requests that got a 200, over the whole time."""
        return len(self.answered_ms) / self.seconds if self.seconds else 0.0

    @property
    def refused(self) -> int:
        """Requests that got a 429."""
        return sum(sample.status == REFUSED for sample in self.samples)

    @property
    def errors(self) -> dict[int, int]:
        """How many requests got which status, of those that are neither answered nor refused."""
        return dict(Counter(sample.status for sample in self.samples if sample.status not in (OK, REFUSED)))

    def percentile(self, q: float) -> float:
        """Latency in ms that q percent of the answered requests kept to; NaN where none was answered."""
        answered = self.answered_ms
        return float(np.percentile(answered, q)) if answered else float("nan")

    def __add__(self, other: "Load") -> "Load":
        """Two runs of the same kind as one."""
        return Load(
            self.samples + other.samples,
            self.seconds + other.seconds,
            self.generator_cpu_seconds + other.generator_cpu_seconds,
        )


class Wire(Protocol):
    """What stands around a body on its way, and around its answer."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """Of the request; asked for each just before it goes out."""

    def status(self, status: int, content: bytes) -> int:
        """What the server said, where another HTTP status stands around it."""


class Plain:
    """A Wire that adds nothing."""

    def headers(self, url: str, body: bytes) -> Mapping[str, str]:
        """JSON's alone."""
        return {"Content-Type": "application/json"}

    def status(self, status: int, content: bytes) -> int:
        """HTTP's own."""
        return status


OnDone = Callable[[Sample], None]
_Send = Callable[[int, float], Coroutine[None, None, None]]


async def closed_loop(  # noqa: PLR0913  where to, what, and when to end are all the caller's
    url: str,
    bodies: Sequence[bytes],
    clients: int,
    *,
    requests: int | None = None,
    seconds: float | None = None,
    path: str = "/invocations",
    wire: Wire | None = None,
    on_done: OnDone | None = None,
) -> Load:
    """Clients that each send their next request when they have the answer to the last.

    Ends after so many requests, or sends no more after so many seconds, whichever is given or comes first.
    """
    if requests is None and seconds is None:
        raise ValueError("a closed loop ends by requests or by seconds: give one")
    indices = count() if requests is None else iter(range(requests))
    async with _sender(url + path, bodies, wire or Plain(), on_done) as (load, send):
        end = time.perf_counter() + (seconds if seconds is not None else float("inf"))

        async def client() -> None:
            for index in indices:  # one iterator for all clients
                now = time.perf_counter()
                if now >= end:
                    return
                await send(index, now)

        await asyncio.gather(*(client() for _ in range(clients)))
    return load


async def open_loop(  # noqa: PLR0913  as above
    url: str,
    bodies: Sequence[bytes],
    rate: float,
    *,
    seconds: float,
    seed: int = 0,
    path: str = "/invocations",
    wire: Wire | None = None,
    on_done: OnDone | None = None,
) -> Load:
    """Poisson arrivals, rate a second for so many seconds, whatever the answers do; then waits for the last answer."""
    arrivals = poisson_arrivals(rate, seconds, seed)
    async with _sender(url + path, bodies, wire or Plain(), on_done) as (load, send), asyncio.TaskGroup() as under_way:
        begin = time.perf_counter()
        for index, arrival in enumerate(arrivals):
            await _sleep_until(begin + arrival)
            under_way.create_task(send(index, begin + arrival))
    load.seconds = max(load.seconds, seconds)  # the last answer may come before that
    return load


def poisson_arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Arrival times in seconds from the start: a Poisson process, given that rate * seconds arrive.

    Exponential gaps, scaled so that their number is no matter of luck: a short run offers the rate that it says. One
    seed gives one pattern, whatever the rate, as far as the number of arrivals is the same.
    """
    number = round(rate * seconds)
    gaps = np.random.default_rng(seed).exponential(size=number + 1)
    arrivals = np.cumsum(gaps)
    return [float(arrival) for arrival in arrivals[:number] * (seconds / arrivals[-1])]


async def _sleep_until(moment: float) -> None:
    """Late by up to 0.8 ms under uvloop, whose timers may also end 1 ms early, so ask again; asyncio's are later."""
    while (delay := moment - time.perf_counter()) > 0:
        await asyncio.sleep(delay)
    await asyncio.sleep(0)  # when all arrivals are late, what is under way must go on all the same


@asynccontextmanager
async def _sender(
    url: str, bodies: Sequence[bytes], wire: Wire, on_done: OnDone | None
) -> AsyncIterator[tuple[Load, _Send]]:
    """An empty Load, and what sends body number `index` and adds its sample; fills in the totals at the end."""
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
                async with session.post(target, data=body, headers=wire.headers(url, body)) as response:
                    status = wire.status(response.status, await response.read())
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
    """An overloaded open loop holds a connection for each request under way; 1,024 files is a common soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
