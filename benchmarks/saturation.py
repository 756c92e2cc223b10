"""Is the server as fast as bare processes? Windows a second under a closed loop, against one process a core that runs
the same windows on the same rungs with nothing around them. Alternating in one run.

    python -m benchmarks.saturation --model-dir build/bert-base --data SQUAD_FILE
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack

from benchmarks import traffic
from container import cpu
from model_loader.artifact import open_artifact
from serve.qa.features import Featurizer, WindowLimits
from tools.benchmark.load import closed_loop
from tools.local_model import Cutter
from tools.local_server import LocalServer
from tools.squad.examples import Example


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    traffic.add_arguments(parser)
    parser.add_argument("--precision", default="INT8")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    bodies = traffic.bodies(examples, given.precision)
    windows = _windows(given, examples)
    cores = cpu.detect().cores
    served, bare, generator = [], [], []
    with ExitStack() as stack:
        processes = [stack.enter_context(_BareProcess(given, core)) for core in cores]
        server = stack.enter_context(LocalServer(given.model_dir, {"PRECISIONS": given.precision}))
        server.wait_until_warm(600)
        for _ in range(given.rounds):
            load = asyncio.run(closed_loop(server.url, bodies, given.clients, requests=len(bodies)))
            assert len(load.answered_ms) == len(bodies), load.errors
            served.append(windows / load.seconds)
            generator.append(load.generator_cpu_seconds / load.seconds)
            for process in processes:
                process.begin()
            bare.append(sum(windows / process.seconds() for process in processes))
            print(f"  served {served[-1]:.2f} windows/s, bare {bare[-1]:.2f}: {served[-1] / bare[-1]:.3f}", flush=True)
    ratio = statistics.median(one / other for one, other in zip(served, bare, strict=True))
    print(
        f"{given.precision}, {len(bodies)} questions, {windows} windows, {given.clients} clients, {len(cores)} cores:"
    )
    print(f"  served / bare {ratio:.3f}; the load generator took {statistics.median(generator):.3f} of a core")


def _windows(given: argparse.Namespace, examples: list[Example]) -> int:
    artifact = open_artifact(given.model_dir, None, cpu.detect())
    cutter = Cutter(Featurizer(artifact.tokenizer_file), WindowLimits(artifact.max_seq_len, artifact.doc_stride, 64))
    return len(traffic.windows(examples, cutter))


class _BareProcess:
    """One benchmarks.bare_process, which runs all windows once between begin and seconds."""

    def __init__(self, given: argparse.Namespace, core: int) -> None:
        arguments = (given.model_dir, given.precision, given.data, given.questions, core)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare_process", *map(str, arguments)],
            env={**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def __enter__(self) -> "_BareProcess":
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")

    def seconds(self) -> float:
        assert self._process.stdout
        return float(self._process.stdout.readline())


if __name__ == "__main__":
    main()
