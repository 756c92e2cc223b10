"""Measure on a real server what the simulation needs, and the rate that it should predict."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import traffic
from benchmarks.compare_commits.http_processes import CpuClock, cpu_seconds, lane_processes
from benchmarks.scaling.simulation import Costs
from benchmarks.server_metrics import read_samples
from benchmarks.server_process import warm_server
from model_loader import ladder
from model_loader.artifact import Artifact
from tools.benchmark.load_generator import Load, closed_loop
from tools.errors import ToolError
from tools.local_server import LocalServer
from tools.squad.examples import Example


@contextmanager
def server_on(cores: Sequence[int], model_dir: Path, precision: str) -> Iterator[LocalServer]:
    """Run a warm server that may use these cores only."""
    this = psutil.Process()
    before = this.cpu_affinity()
    this.cpu_affinity(list(cores))  # the server inherits it
    try:
        with warm_server(model_dir, {"PRECISIONS": precision}) as server:
            this.cpu_affinity(before)
            yield server
    finally:
        this.cpu_affinity(before)


def send(server: LocalServer, bodies: Sequence[bytes], clients: int) -> Load:
    """Ask all questions in a closed loop of clients.

    Raises: ToolError if a question is not answered.
    """
    load = asyncio.run(closed_loop(server.url, bodies, clients, requests=len(bodies)))
    traffic.check_all_answered(load, len(bodies))
    return load


def rungs_of(server: LocalServer, artifact: Artifact, examples: Sequence[Example], precision: str) -> list[list[int]]:
    """Return the rungs of the windows of each question."""
    warm = tuple(sorted(_narrow_costs(server, precision)))
    cut = traffic.windows(examples, traffic.open_cutter(artifact))
    found = [[ladder.rung_for(len(window.input_ids), warm) for window in windows] for windows in cut]
    if any(rung is None for rungs in found for rung in rungs):
        raise ToolError(f"a window is longer than every rung that was measured: {warm}")
    return [[rung for rung in rungs if rung] for rungs in found]


def measure_costs(
    server: LocalServer, bodies: Sequence[bytes], questions: Sequence[Sequence[int]], precision: str
) -> Costs:
    """Measure the costs with one client, which never waits for another one.

    The server's own table has the milliseconds of each rung by the clock. Here all of them are scaled by one factor, so
    that together they give the CPU time that the lanes took for these questions.
    """
    send(server, bodies[: len(bodies) // 4], 1)
    gunicorn = psutil.Process(server.process.pid)
    http, lanes_before = CpuClock(gunicorn), sum(map(cpu_seconds, lane_processes(gunicorn)))
    load = send(server, bodies, 1)
    http_seconds = http.seconds()
    lanes_seconds = sum(map(cpu_seconds, lane_processes(gunicorn))) - lanes_before
    by_clock = _narrow_costs(server, precision)
    factor = 1000 * lanes_seconds / sum(by_clock[rung] for rungs in questions for rung in rungs)
    passes = {rung: factor * cost_ms for rung, cost_ms in by_clock.items()}
    batches = server.info()["batches"].get(precision, [])
    return Costs(
        http=1000 * http_seconds / len(bodies),
        passes=passes,
        batches={
            (each["tokens"], each["windows"]): each["windows"] * passes[each["tokens"]] / each["gain"]
            for each in batches
        },
        generator=1000 * load.generator_cpu_seconds / len(bodies),
    )


def _narrow_costs(server: LocalServer, precision: str) -> dict[int, float]:
    """Return the server's milliseconds of a pass on a lane of one core, by rung."""
    samples = read_samples(server.url, "bertqa_rung_cost_seconds")
    return {
        int(sample.labels["rung"]): 1000 * sample.value
        for sample in samples
        if sample.labels["precision"] == precision and sample.labels["width"] == "1"
    }
