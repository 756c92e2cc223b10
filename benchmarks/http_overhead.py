"""What HTTP, queue and lanes add to one pass: the server against the same TorchScript called in a loop in one process.

    python -m benchmarks.http_overhead --model-dir build/bert-base --tokens 128

One request at a time, the same cores, blocks of both alternating in one run; prints medians and their ratio.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np

from tools.local_server import LocalServer

BLOCK = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/bert-base"))
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=10, help=f"of {BLOCK} requests each, alternating")
    parser.add_argument("--precision", default="INT8")
    given = parser.parse_args()
    with LocalServer(given.model_dir, {"PRECISIONS": given.precision}) as server:
        server.wait_until_warm(600)
        with httpx.Client(base_url=server.url, timeout=60) as client, _InProcess(given) as in_process:
            body = json.dumps({"question": "word", "context": "word " * (given.tokens - 4)})
            connection = http.client.HTTPConnection("127.0.0.1", server.port)  # the lightest client at hand

            def over_http() -> float:
                start = time.perf_counter()
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                return (time.perf_counter() - start) * 1000

            before = _pass_totals(client)
            http_ms, direct_ms = _alternate(given.blocks, over_http, in_process.one_pass)
            count, seconds = (after - then for after, then in zip(_pass_totals(client), before, strict=True))
    print(f"{given.precision} at {given.tokens} tokens, {len(http_ms)} requests each, alternating blocks of {BLOCK}:")
    for name, times in (("over HTTP ", http_ms), ("in process", direct_ms)):
        median, mean, p90 = statistics.median(times), statistics.mean(times), np.percentile(times, 90)
        print(f"  {name}  median {median:6.2f} ms   mean {mean:6.2f} ms   p90 {p90:6.2f} ms")
    print(f"  of which the pass in the lane, mean {seconds / count * 1000:6.2f} ms")
    print(f"  ratio of the medians {statistics.median(http_ms) / statistics.median(direct_ms):.3f}")


def _alternate(blocks: int, *sides: Callable[[], float]) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(blocks):
        for side, into in zip(sides, times, strict=True):
            side()  # the other side's threads go to sleep meanwhile
            into += [side() for _ in range(BLOCK)]
    return times


def _pass_totals(client: httpx.Client) -> list[float]:
    """Number and seconds of all passes so far, from the server's metrics."""
    lines = client.get("/metrics").text.splitlines()
    return [
        sum(float(line.split()[-1]) for line in lines if line.startswith(f"bertqa_window_seconds_{what}"))
        for what in ("count", "sum")
    ]


class _InProcess:
    """A process of its own that calls the TorchScript in a loop, on all cores, as a plain script would."""

    def __init__(self, given: argparse.Namespace) -> None:
        command = [
            "env",
            "TORCH_CPP_LOG_LEVEL=ERROR",
            sys.executable,
            "-m",
            "benchmarks.in_process_loop",
            str(given.model_dir),
            given.precision,
        ]
        self._process = subprocess.Popen(
            [*command, str(given.tokens)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> "_InProcess":
        self.one_pass()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def one_pass(self) -> float:
        """Milliseconds of one forward pass, measured in that process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("go\n")
        return float(self._process.stdout.readline())


if __name__ == "__main__":
    main()
