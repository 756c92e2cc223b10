"""Compare a saturated server that runs waiting windows together with the same server with MAX_BATCH_WINDOWS=1.

    python -m benchmarks.throughput.batches --model-dir build/bert-base --data SQUAD_FILE
    python -m benchmarks.throughput.batches --tokens 64          # questions with windows of at most 64 tokens
    python -m benchmarks.throughput.batches --json-lines         # one body in JSON Lines, as in batch transform

Both servers run at once, one of them idle, and take turns in each round.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import httpx

from benchmarks import traffic
from benchmarks.arguments import DEMO, add_precision, add_questions, add_rounds, benchmark_parser
from benchmarks.server_process import warm_server
from container import cpu
from model_loader.artifact import open_artifact
from tools.benchmark.load_generator import closed_loop
from tools.errors import ToolError, run
from tools.local_model import Cutter
from tools.local_server import LocalServer
from tools.squad.examples import Example

ALONE, TOGETHER = "1", "auto"  # values of MAX_BATCH_WINDOWS
SECONDS = 600  # for one body in JSON Lines


def main() -> None:
    """Measure alternating rounds and print the median ratio."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    add_precision(parser)
    add_questions(parser)
    add_rounds(parser, default=5)
    parser.add_argument("--clients", type=int, default=16, help="clients of the closed loop (default: 16)")
    parser.add_argument("--tokens", type=int, help="cut the contexts so that no window has more tokens than this")
    parser.add_argument("--json-lines", action="store_true", help="send all questions in one body")
    given = parser.parse_args()
    examples = traffic.read(given.data, given.questions)
    if given.tokens:
        cutter = traffic.open_cutter(open_artifact(given.model_dir, None, cpu.detect()))
        examples = [shortened(example, given.tokens, cutter) for example in examples]
    bodies = traffic.bodies(examples, given.precision)
    rates: dict[str, list[float]] = {ALONE: [], TOGETHER: []}
    with ExitStack() as stack:
        servers = {
            value: stack.enter_context(
                warm_server(given.model_dir, {"MAX_BATCH_WINDOWS": value, "PRECISIONS": given.precision})
            )
            for value in rates
        }
        print("shapes:", httpx.get(f"{servers[TOGETHER].url}/info").json()["batches"])
        for _ in range(given.rounds):
            for value, server in servers.items():
                rates[value].append(
                    send_lines(server, bodies) if given.json_lines else send(server, bodies, given.clients)
                )
            print(", ".join(f"MAX_BATCH_WINDOWS={value}: {of[-1]:.1f} questions/s" for value, of in rates.items()))
    ratio = statistics.median(one / other for one, other in zip(rates[TOGETHER], rates[ALONE], strict=True))
    print(f"{given.precision}, {len(bodies)} questions: median ratio {ratio:.3f}")


def shortened(example: Example, tokens: int, cutter: Cutter) -> Example:
    """Cut the end of the context off, so that the window has at most this many tokens."""
    document, (window, *_) = cutter.cut(example)
    kept = tokens - window.context_offset - 1
    if kept >= len(document):
        return example
    return replace(example, context=example.context[: document.whole.ends[max(1, kept) - 1]])


def send(server: LocalServer, bodies: Sequence[bytes], clients: int) -> float:
    """Return the questions a second of a closed loop of clients."""
    load = asyncio.run(closed_loop(server.url, bodies, clients, requests=len(bodies)))
    traffic.check_all_answered(load, len(bodies))
    return len(bodies) / load.seconds


def send_lines(server: LocalServer, bodies: Sequence[bytes]) -> float:
    """Return the questions a second of one body in JSON Lines."""
    start = time.perf_counter()
    response = httpx.post(
        f"{server.url}/invocations",
        content=b"\n".join(bodies),
        headers={"Content-Type": "application/jsonlines"},
        timeout=SECONDS,
    )
    seconds = time.perf_counter() - start
    answers = [json.loads(line) for line in response.content.splitlines()]
    if len(answers) != len(bodies) or any("error" in answer for answer in answers):
        raise ToolError(f"not every line was answered: {answers[:1]}")
    return len(bodies) / seconds


if __name__ == "__main__":
    run(main)
