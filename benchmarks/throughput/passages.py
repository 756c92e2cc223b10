r"""Measure how many short passages a second are highlighted, and what a million of them costs.

    python -m benchmarks.throughput.passages --model-dir build/bert-base --data SQUAD_FILE

A request asks one question about several passages of the same length, as a search engine does with what it has found.
The price is that of one hour of an instance with as many cores as this machine.
"""

import asyncio
import json
import statistics
from collections.abc import Sequence

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, HELD_OUT, add_precision, add_rounds, benchmark_parser
from benchmarks.server_process import warm_server
from container import cpu
from tools.benchmark.load_generator import closed_loop
from tools.errors import ToolError, run
from tools.remote.instance_prices import PRICES, dollars_per_million
from tools.squad.examples import Example, read_examples

DOLLARS_PER_HOUR = PRICES["ml.c6i.xlarge"].dollars_per_hour  # two physical cores


def main() -> None:
    """Send the requests with each number of clients in turn, several times, and print the medians."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    add_rounds(parser, default=3)
    parser.add_argument("--data", default=HELD_OUT, help=f"texts in SQuAD's format (default: {HELD_OUT})")
    parser.add_argument("--passages", type=int, default=50, help="passages of a request (default: 50)")
    parser.add_argument("--words", type=int, default=60, help="words of a passage (default: 60)")
    parser.add_argument("--requests", type=int, default=16, help="requests of a round (default: 16)")
    parser.add_argument(
        "--clients", type=int, nargs="+", default=(1, 8), help="clients of the closed loop (default: 1 8)"
    )
    parser.add_argument("--dollars-per-hour", type=float, default=DOLLARS_PER_HOUR)
    given = parser.parse_args()
    passages = cut_passages(read_examples(given.data), given.words)
    bodies = []
    for first, (question, _) in enumerate(passages[: given.requests]):
        of_request = [passages[(first + step) % len(passages)] for step in range(given.passages)]
        bodies.append(request_body(question, of_request, given.precision))
    rates: dict[int, list[float]] = {clients: [] for clients in given.clients}
    latencies: dict[int, list[float]] = {clients: [] for clients in given.clients}
    settings = {"PRECISIONS": given.precision, "MAX_QUEUE_SECONDS": "60", "REQUEST_TIMEOUT_SECONDS": "120"}
    with warm_server(given.model_dir, settings) as server:
        for _ in range(given.rounds):
            for clients in given.clients:
                load = asyncio.run(closed_loop(server.url, bodies, clients, requests=len(bodies)))
                traffic.check_all_answered(load, len(bodies))
                rates[clients].append(load.queries_per_second * given.passages)
                latencies[clients].append(load.percentile(50))
    machine = cpu.detect()
    print(f"{given.model_dir}, {given.precision}, {machine.model}, {machine.isa}, {len(machine.cores)} cores")
    for clients in given.clients:
        rate = statistics.median(rates[clients])
        latency_ms = statistics.median(latencies[clients])
        dollars = dollars_per_million(given.dollars_per_hour, rate)
        print(
            f"  {clients} client(s): {rate:.1f} passages a second, P50 of a request {latency_ms:.0f} ms, "
            f"${dollars:.2f} for a million passages at ${given.dollars_per_hour:g} an hour"
        )


def cut_passages(examples: Sequence[Example], words: int) -> list[tuple[str, str]]:
    """Return a question and a passage of exactly so many words for each context that is long enough.

    Raises: ToolError if there are none.
    """
    by_context = {example.context: example.question for example in examples}
    cut = [(question, context.split()[:words]) for context, question in by_context.items()]
    found = [(question, " ".join(passage)) for question, passage in cut if len(passage) == words]
    if not found:
        raise ToolError(f"no context has {words} words")
    return found


def request_body(question: str, passages: Sequence[tuple[str, str]], precision: str) -> bytes:
    """Return a request that highlights what answers the question in the passages."""
    contexts = [passage for _, passage in passages]
    parameters = {"task": "highlight"}
    return json.dumps(
        {"question": question, "contexts": contexts, "precision": precision, "parameters": parameters}
    ).encode()


if __name__ == "__main__":
    run(main)
