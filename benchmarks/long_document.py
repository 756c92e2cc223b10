"""Does one book delay others? Short requests at half load, alone and beside one document of 40,000 tokens.

python -m benchmarks.long_document --model-dir build/bert-base
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Coroutine
from pathlib import Path

import httpx

from tools.benchmark.load import Load, closed_loop, open_loop
from tools.local_server import LocalServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model-dir", type=Path, default=Path("build/bert-base"))
    parser.add_argument("--precision", default="INT8")
    parser.add_argument("--short-tokens", type=int, default=128)
    parser.add_argument("--document-tokens", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="each part")
    given = parser.parse_args()
    short = [body(given.short_tokens, given.precision)]
    document = body(given.document_tokens, given.precision)
    ratios = []
    with LocalServer(given.model_dir, {"PRECISIONS": given.precision}) as server:
        server.wait_until_warm(600)
        peak = asyncio.run(closed_loop(server.url, short, 4, requests=200)).queries_per_second
        print(f"{given.precision}, {given.short_tokens} tokens: saturation {peak:.1f} queries/s")
        for seed in range(given.rounds):
            alone = asyncio.run(open_loop(server.url, short, peak / 2, seconds=given.seconds, seed=seed))
            short_ones = open_loop(server.url, short, peak / 2, seconds=given.seconds, seed=seed)
            beside, seconds, status = asyncio.run(_beside(server.url, document, short_ones))
            ratios.append(beside.percentile(50) / alone.percentile(50))
            for name, load in (("alone", alone), ("beside the document", beside)):
                figures = ", ".join(f"P{q} {load.percentile(q):.0f} ms" for q in (50, 90, 99))
                print(f"  short requests {name}: {figures}, {load.errors or 'no'} errors")
            print(f"  the document took {seconds:.1f} s: status {status}; ratio of the medians {ratios[-1]:.2f}")
    print(f"median of the ratios {statistics.median(ratios):.2f}")


def body(tokens: int, precision: str) -> bytes:
    """A request of so many tokens, with those that the model adds."""
    return json.dumps({"question": "word", "context": "word " * (tokens - 4), "version": precision}).encode()


async def _beside(url: str, document: bytes, short_ones: Coroutine[None, None, Load]) -> tuple[Load, float, int]:
    """The short requests while one document after the other is under way; the time of the first, and its status."""
    load = asyncio.ensure_future(short_ones)
    async with httpx.AsyncClient(timeout=90) as client:
        first = await client.post(f"{url}/invocations", content=document)
        while not load.done():
            await client.post(f"{url}/invocations", content=document)
    return await load, first.elapsed.total_seconds(), first.status_code


if __name__ == "__main__":
    main()
