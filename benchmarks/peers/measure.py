"""One server under a closed loop of clients, and a run's figures summed up as medians over its rounds."""

import asyncio
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psutil

from benchmarks.peers.servers import Running
from tools.benchmark.load import closed_loop


@dataclass(frozen=True)
class Figures:
    """One server in one round, or the medians over rounds. Memory is proportional set size, all processes.

    disturbed_percent: the machine's CPU time that went to neither server nor clients; a busy machine spoils a round.
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
    """The bodies of a round, one for each length among them, and how many clients send them."""

    bodies: Sequence[bytes]
    one_of_each_length: Sequence[bytes]
    clients: int


def warm(server: Running, traffic: Traffic) -> None:
    """Let a server meet the traffic's lengths, as often as it needs."""
    requests = server.warm_passes * len(traffic.one_of_each_length)
    asyncio.run(
        closed_loop(server.url, traffic.one_of_each_length, traffic.clients, requests=requests, path=server.path)
    )


def measure(server: Running, traffic: Traffic) -> Figures:
    """Each body once: every server does the same work, whatever its speed."""
    bodies = traffic.bodies
    machine, served = _machine_seconds(), _server_seconds(server.pid)
    load = asyncio.run(closed_loop(server.url, bodies, traffic.clients, requests=len(bodies), path=server.path))
    machine, served = _machine_seconds() - machine, _server_seconds(server.pid) - served
    others = machine - served - load.generator_cpu_seconds
    return Figures(
        queries_per_second=load.queries_per_second,
        p50_ms=load.percentile(50),
        p90_ms=load.percentile(90),
        p99_ms=load.percentile(99),
        memory_mb=sum(process.memory_full_info().pss for process in _processes(server.pid)) / 1e6,
        disturbed_percent=100 * others / (load.seconds * len(os.sched_getaffinity(0))),
        errors=sum(load.errors.values()) + load.refused,
    )


def medians(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure; of errors the sum."""
    by_name = {name: [asdict(figures)[name] for figures in rounds] for name in asdict(rounds[0])}
    errors = sum(by_name.pop("errors"))
    return Figures(**{name: statistics.median(values) for name, values in by_name.items()}, errors=errors)


def _processes(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def _server_seconds(pid: int) -> float:
    """CPU time of a server's processes so far."""
    times = [process.cpu_times() for process in _processes(pid)]
    return sum(one.user + one.system for one in times)


def _machine_seconds() -> float:
    """CPU time of all processes so far, and what the host of a virtual machine took away."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
