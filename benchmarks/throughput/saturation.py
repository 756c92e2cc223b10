"""Compare the windows a second of a saturated server with those of bare processes.

    python -m benchmarks.throughput.saturation --model-dir build/bert-base --data SQUAD_FILE

The server gets questions from a closed loop of clients. For comparison, one process a core runs the same windows on the
same rungs, and does nothing else. Both alternate in one run.
"""

import asyncio
import statistics
from contextlib import ExitStack

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_precision, add_questions, add_rounds, benchmark_parser
from benchmarks.line_process import line_process
from benchmarks.server_process import warm_server
from benchmarks.throughput import bare_process
from container import cpu
from model_loader.artifact import open_artifact
from tools.benchmark.load_generator import closed_loop
from tools.errors import run


def main() -> None:
    """Measure alternating rounds and print the median ratio."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    add_questions(parser)
    add_rounds(parser, default=5)
    parser.add_argument("--clients", type=int, default=4, help="clients of the closed loop (default: 4)")
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    bodies = traffic.bodies(examples, given.precision)
    box = cpu.detect()
    cutter = traffic.open_cutter(open_artifact(given.model_dir, None, box))
    windows = sum(map(len, traffic.windows(examples, cutter)))
    served, bare, generator = [], [], []
    with ExitStack() as stack:
        work = (given.model_dir, given.precision, given.data, given.questions)
        processes = [stack.enter_context(line_process(bare_process, *work, core)) for core in box.cores]
        server = stack.enter_context(warm_server(given.model_dir, {"PRECISIONS": given.precision}))
        for _ in range(given.rounds):
            load = asyncio.run(closed_loop(server.url, bodies, given.clients, requests=len(bodies)))
            traffic.check_all_answered(load, len(bodies))
            served.append(windows / load.seconds)
            generator.append(load.generator_cpu_seconds / load.seconds)
            for process in processes:
                process.begin()
            bare.append(sum(windows / process.result() for process in processes))
            print(f"  served {served[-1]:.2f} windows/s, bare {bare[-1]:.2f}: {served[-1] / bare[-1]:.3f}", flush=True)
    ratio = statistics.median(one / other for one, other in zip(served, bare, strict=True))
    circumstances = f"{given.clients} clients, {len(box.cores)} cores"
    print(f"{given.precision}, {len(bodies)} questions, {windows} windows, {circumstances}:")
    print(f"  served / bare {ratio:.3f}; the load generator took {statistics.median(generator):.3f} of a core")


if __name__ == "__main__":
    run(main)
