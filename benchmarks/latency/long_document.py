"""Measure whether a long document delays short requests.

    python -m benchmarks.latency.long_document --model-dir build/bert-base

Short requests arrive at half of their saturated rate: alone, and beside one document of 40,000 tokens at a time.
"""

import asyncio
import statistics
from collections.abc import Coroutine

import httpx

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_precision, add_rounds, add_seconds, benchmark_parser
from benchmarks.server_process import warm_server
from tools.benchmark.load_generator import Load, closed_loop, open_loop
from tools.errors import run


def main() -> None:
    """Measure the rounds and print the ratio of the medians, beside the document / alone."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    add_rounds(parser, default=3)
    add_seconds(parser, default=15)
    parser.add_argument("--short-tokens", type=int, default=128, help="length of a short request (default: 128)")
    parser.add_argument("--document-tokens", type=int, default=40_000, help="length of the document (default: 40000)")
    given = parser.parse_args()
    short = [traffic.body_of_length(given.short_tokens, given.precision)]
    document = traffic.body_of_length(given.document_tokens, given.precision)
    ratios = []
    with warm_server(given.model_dir, {"PRECISIONS": given.precision}) as server:
        peak = asyncio.run(closed_loop(server.url, short, 4, requests=200)).queries_per_second
        print(f"{given.precision}, {given.short_tokens} tokens: saturation {peak:.1f} queries/s")
        for seed in range(given.rounds):
            alone = asyncio.run(open_loop(server.url, short, peak / 2, seconds=given.seconds, seed=seed))
            short_requests = open_loop(server.url, short, peak / 2, seconds=given.seconds, seed=seed)
            beside, seconds, status = asyncio.run(_beside(server.url, document, short_requests))
            ratios.append(beside.percentile(50) / alone.percentile(50))
            for name, load in (("alone", alone), ("beside the document", beside)):
                figures = ", ".join(f"P{q} {load.percentile(q):.0f} ms" for q in (50, 90, 99))
                print(f"  short requests {name}: {figures}, number of errors by status: {load.errors or 'none'}")
            print(f"  the document took {seconds:.1f} s: status {status}; ratio of the medians {ratios[-1]:.2f}")
    print(f"median of the ratios {statistics.median(ratios):.2f}")


async def _beside(url: str, document: bytes, short_requests: Coroutine[None, None, Load]) -> tuple[Load, float, int]:
    """Run the short requests while the document is sent again and again.

    Returns: the load of the short requests, and the seconds and the HTTP status of the first document.
    """
    load = asyncio.ensure_future(short_requests)
    async with httpx.AsyncClient(timeout=90) as client:
        first = await client.post(f"{url}/invocations", content=document)
        while not load.done():
            await client.post(f"{url}/invocations", content=document)
    return await load, first.elapsed.total_seconds(), first.status_code


if __name__ == "__main__":
    run(main)
