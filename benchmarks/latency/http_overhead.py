"""Measure what HTTP, the queue and the lanes add to one pass through the model.

    python -m benchmarks.latency.http_overhead --model-dir build/bert-base --tokens 128

One request at a time goes to the server. For comparison, one process calls the same TorchScript in a loop on the same
cores. Blocks of both alternate. The output has the medians and their ratio.
"""

import http.client
import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_precision, benchmark_parser
from benchmarks.latency import in_process_loop
from benchmarks.line_process import line_process
from benchmarks.server_metrics import read_samples
from benchmarks.server_process import warm_server
from tools.errors import ToolError, run

BLOCK = 20


def main() -> None:
    """Measure alternating blocks and print the two distributions."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    parser.add_argument("--tokens", type=int, default=128, help="length of the request (default: 128)")
    parser.add_argument("--blocks", type=int, default=10, help=f"blocks of {BLOCK} requests (default: 10)")
    given = parser.parse_args()
    with (
        warm_server(given.model_dir, {"PRECISIONS": given.precision}) as server,
        line_process(in_process_loop, given.model_dir, given.precision, given.tokens) as loop,
    ):
        body = traffic.body_of_length(given.tokens)
        connection = http.client.HTTPConnection(
            "127.0.0.1", server.port
        )  # The standard library's client takes the least time.

        def over_http() -> float:
            start = time.perf_counter()
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != http.HTTPStatus.OK:
                raise ToolError(f"the server answered with status {response.status}: {answer.decode()}")
            return (time.perf_counter() - start) * 1000

        def in_process() -> float:
            loop.begin()
            return loop.result()

        passes, seconds = _passes(server.url)
        http_ms, direct_ms = _alternate(given.blocks, over_http, in_process)
        passes_after, seconds_after = _passes(server.url)
    lane_ms = (seconds_after - seconds) / (passes_after - passes) * 1000
    print(f"{given.precision} at {given.tokens} tokens, {len(http_ms)} requests each, alternating blocks of {BLOCK}:")
    for name, times in (("over HTTP ", http_ms), ("in process", direct_ms)):
        median, mean, p90 = statistics.median(times), statistics.mean(times), np.percentile(times, 90)
        print(f"  {name}  median {median:6.2f} ms   mean {mean:6.2f} ms   P90 {p90:6.2f} ms")
    print(f"  the pass in the lane, part of the time over HTTP: mean {lane_ms:6.2f} ms")
    print(f"  ratio of the medians {statistics.median(http_ms) / statistics.median(direct_ms):.3f}")


def _alternate(blocks: int, *sides: Callable[[], float]) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(blocks):
        for side, into in zip(sides, times, strict=True):
            side()  # This call is not counted: the threads of the other side go to sleep meanwhile.
            into += [side() for _ in range(BLOCK)]
    return times


def _passes(url: str) -> tuple[float, float]:
    """Return the number of passes that the lanes have run so far, and their seconds."""
    count, seconds = (
        sum(sample.value for sample in read_samples(url, f"bertqa_window_seconds_{suffix}"))
        for suffix in ("count", "sum")
    )
    return count, seconds


if __name__ == "__main__":
    run(main)
