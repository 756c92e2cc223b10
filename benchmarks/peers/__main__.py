"""Compare our server with other ways to serve the same model: the same traffic, the same cores, alternating rounds.

    python -m benchmarks.peers --checkpoint build/bert-base-checkpoint --model-dir build/bert-base --data FILE
    python -m benchmarks.peers --check              # compare the answers of all servers, on the demo model
    python -m benchmarks.peers --trials openvino    # compare the settings that were tried for one peer

Environments and converted models that are missing are made first. README.md in this folder describes the peers.
"""

import argparse
import json
import platform
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import traffic
from benchmarks.arguments import DEMO, HELD_OUT
from benchmarks.peers import check, servers
from benchmarks.peers.converted_models import convert
from benchmarks.peers.environments import REQUIREMENTS
from benchmarks.peers.measure import Figures, Traffic, measure, medians, warm
from benchmarks.peers.question_answering import Reader
from benchmarks.peers.servers import OURS, PEERS, ModelFormats, Peer, RunningServer
from benchmarks.server_process import exit_on_sigterm
from container import cpu
from tools.errors import ToolError, run
from tools.squad.examples import Example, read_examples

DEMO_CHECKPOINT = Path("models/demo")
Contender = Callable[[], AbstractContextManager[RunningServer]]


def main() -> None:
    """Prepare what is missing, then measure the servers or compare their answers."""
    exit_on_sigterm()
    given = _parse()
    models, peers = _prepare(given)
    examples = _examples(given)
    (question,) = traffic.bodies(examples[:1])
    if given.trials:
        (peer,) = peers
        contenders = {"as configured": _start(peer, models, peer.settings, question)}
        contenders |= {_difference(one, peer.settings): _start(peer, models, one, question) for one in peer.tried}
    else:
        contenders = {name: _start_ours(name, models) for name in OURS if given.only is None or name in given.only}
        contenders |= {peer.name: _start(peer, models, peer.settings, question) for peer in peers}
    if given.check:
        _check(contenders, examples)
    else:
        _measure(given, contenders, _traffic(given, examples, models.checkpoint))


def _parse() -> argparse.Namespace:
    names = (*OURS, *(peer.name for peer in PEERS))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "--checkpoint", type=Path, default=DEMO_CHECKPOINT, help=f"Hugging Face checkpoint (default: {DEMO_CHECKPOINT})"
    )
    add("--model-dir", type=Path, default=DEMO, help=f"our artifact of the same checkpoint (default: {DEMO})")
    add("--data", default=HELD_OUT, help=f"questions in SQuAD's format (default: {HELD_OUT})")
    add("--questions", type=int, default=200, help="number of questions, spread over the file (default: 200)")
    add("--max-tokens", type=int, help="take only questions that have, with their context, at most this many tokens")
    add("--only", type=lambda text: text.split(","), help=f"some of {','.join(names)} (default: all)")
    add("--clients", type=int, default=4, help="clients of the closed loop (default: 4)")
    add("--rounds", type=int, default=3, help="number of rounds (default: 3)")
    add("--check", action="store_true", help="compare answers on the demo model, and measure nothing")
    add("--trials", choices=[peer.name for peer in PEERS], help="compare the settings of one peer")
    add("--output", type=Path, help="write the figures of all rounds to this JSON file")
    given = parser.parse_args()
    if unknown := set(given.only or ()) - set(names):
        parser.error(f"--only: {', '.join(sorted(unknown))} is unknown; choose from {', '.join(names)}")
    if given.check:
        given.checkpoint, given.model_dir = DEMO_CHECKPOINT, DEMO
        given.only = given.only and [*OURS, *given.only]
    return given


def _prepare(given: argparse.Namespace) -> tuple[ModelFormats, list[Peer]]:
    if not (given.model_dir / "manifest.json").is_file():
        raise ToolError(f"{given.model_dir} holds no artifact; make one with `make quantize`")
    wanted = [given.trials] if given.trials else given.only
    peers = [peer for peer in PEERS if wanted is None or peer.name in wanted]
    converted = convert(given.checkpoint, {peer.environment for peer in peers})
    return ModelFormats(given.checkpoint, given.model_dir, converted), peers


def _examples(given: argparse.Namespace) -> list[Example]:
    """Choose questions that are spread over the file. The order is fixed, and mixes the articles."""
    examples = read_examples(given.data)
    if given.max_tokens:
        reader = Reader(given.checkpoint / "tokenizer.json")
        examples = [example for example in examples if max(_lengths(reader, example)) <= given.max_tokens]
    if not examples:
        raise ToolError(f"{given.data} holds no such questions")
    chosen = traffic.spread(examples, given.questions)
    random.Random(0).shuffle(chosen)
    return chosen


def _lengths(reader: Reader, example: Example) -> tuple[int, ...]:
    """Return the number of tokens of each of a question's windows."""
    return tuple(len(window.ids) for window in reader.windows(example.question, example.context))


def _traffic(given: argparse.Namespace, examples: list[Example], checkpoint: Path) -> Traffic:
    reader = Reader(checkpoint / "tokenizer.json")
    bodies = traffic.bodies(examples)
    of_length = {_lengths(reader, example): body for example, body in zip(examples, bodies, strict=True)}
    return Traffic(bodies, list(of_length.values()), given.clients)


def _start(peer: Peer, models: ModelFormats, settings: servers.Settings, question: bytes) -> Contender:
    return lambda: servers.running(peer, models, settings, question)


def _start_ours(name: str, models: ModelFormats) -> Contender:
    return lambda: servers.ours(name, models)


def _difference(settings: servers.Settings, configured: servers.Settings) -> str:
    """Name a trial by the settings that differ from the configured ones."""
    different = {name: value for name, value in settings.items() if configured.get(name) != value}
    return " ".join(f"{name.removeprefix('OV_')}={value}" for name, value in different.items())


def _measure(given: argparse.Namespace, contenders: dict[str, Contender], requests: Traffic) -> None:
    console = Console(width=120)
    rounds: dict[str, list[Figures]] = {name: [] for name in contenders}
    for number in range(given.rounds):
        for name, start in contenders.items():
            with start() as server:
                warm(server, requests)
                figures = measure(server, requests)
            rounds[name].append(figures)
            speed, disturbed = figures.queries_per_second, figures.disturbed_percent
            console.print(f"round {number + 1}: {name}: {speed:.2f} queries/s, {disturbed:.0f} % disturbed")
    console.print(_table(given, {name: medians(of_name) for name, of_name in rounds.items()}))
    if given.output:
        report = _circumstances(given) | {"rounds": {name: [asdict(one) for one in of] for name, of in rounds.items()}}
        given.output.write_text(json.dumps(report, indent=1))


def _table(given: argparse.Namespace, summary: dict[str, Figures]) -> Table:
    title = f"{given.checkpoint}, {given.questions} questions of {Path(given.data).name}, {given.clients} clients"
    table = Table(title=f"{title}, medians of {given.rounds} rounds")
    reference = next(iter(summary))
    figures_of = ("queries/s", f"{reference} / this", "P50 ms", "P90 ms", "P99 ms", "memory MB", "disturbed", "errors")
    for column in ("", *figures_of):
        table.add_column(column, justify="right" if column else "left")
    best = summary[reference].queries_per_second
    for name, figures in summary.items():
        speed = figures.queries_per_second
        latencies = (f"{value:.1f}" for value in (figures.p50_ms, figures.p90_ms, figures.p99_ms))
        disturbed = f"{figures.disturbed_percent:.0f} %"
        ratio = f"{best / speed:.2f}" if speed else "-"
        table.add_row(
            name, f"{speed:.2f}", ratio, *latencies, f"{figures.memory_mb:.0f}", disturbed, str(figures.errors)
        )
    return table


def _circumstances(given: argparse.Namespace) -> dict[str, object]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu.detect().model,
        "python": platform.python_version(),
        "pins": {file.stem: file.read_text().splitlines() for file in sorted(REQUIREMENTS.glob("*.txt"))},
        "arguments": {name: str(value) for name, value in vars(given).items()},
    }


def _check(contenders: dict[str, Contender], examples: list[Example]) -> None:
    answers = {}
    for name, start in contenders.items():
        with start() as server:
            answers[name] = check.answers(server, examples)
    int8, fp32 = (answers[name] for name in OURS)
    table = Table(title=f"{len(examples)} questions on the demo model, percent")
    for column in ("", "exact match", "F1", *(f"agrees with {name}" for name in OURS)):
        table.add_column(column, justify="right" if column else "left")
    for name, texts in answers.items():
        row = asdict(check.quality(texts, int8, fp32, examples))
        table.add_row(name, *(f"{value:.1f}" for value in row.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    run(main)
