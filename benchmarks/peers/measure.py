"""Measure one server under a closed loop of clients, and summarize its rounds as medians."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil

from benchmarks.peers.servers import RunningServer
from tools.benchmark.load_generator import closed_loop
from tools.process_tree import ProcessTree


@dataclass(frozen=True)
class Figures:
    """One server in one round, or the medians over the rounds.

    Attributes:
        memory_mb: proportional set size of all processes of the server.
        disturbed_percent: share of the machine's CPU time that neither the server nor the clients used. If it is high,
            other work ran on the machine, and the round should be repeated.
    """

    queries_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    memory_mb: float
    disturbed_percent: float
    errors: int


@dataclass(frozen=True)
class Traffic:
    """The bodies of a round, one body of each length among them, and the number of clients that send them."""

    bodies: Sequence[bytes]
    one_of_each_length: Sequence[bytes]
    clients: int


def warm(server: RunningServer, traffic: Traffic) -> None:
    """Send a body of each length, as often as this server needs to be warm."""
    bodies = traffic.one_of_each_length
    requests = server.warm_passes * len(bodies)
    asyncio.run(closed_loop(server.url, bodies, traffic.clients, requests=requests, path=server.path))


def measure(server: RunningServer, traffic: Traffic) -> Figures:
    """Send each body once. Every server does the same work, whatever its speed."""
    bodies, tree = traffic.bodies, ProcessTree(psutil.Process(server.pid))
    machine, served = _machine_seconds(), tree.cpu_seconds()
    load = asyncio.run(closed_loop(server.url, bodies, traffic.clients, requests=len(bodies), path=server.path))
    machine, served = _machine_seconds() - machine, tree.cpu_seconds() - served
    others = machine - served - load.generator_cpu_seconds
    return Figures(
        queries_per_second=load.queries_per_second,
        p50_ms=load.percentile(50),
        p90_ms=load.percentile(90),
        p99_ms=load.percentile(99),
        memory_mb=tree.memory_bytes() / 1e6,
        disturbed_percent=100 * others / (load.seconds * len(os.sched_getaffinity(0))),
        errors=sum(load.errors.values()) + load.refused,
    )


def medians(rounds: Sequence[Figures]) -> Figures:
    """Return the median of each figure, and the sum of the errors."""
    by_name = {name: [asdict(figures)[name] for figures in rounds] for name in asdict(rounds[0])}
    errors = sum(by_name.pop("errors"))
    return Figures(**{name: statistics.median(values) for name, values in by_name.items()}, errors=errors)


def _machine_seconds() -> float:
    """Return the CPU time of all processes so far, plus the time that the host took from this virtual machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
