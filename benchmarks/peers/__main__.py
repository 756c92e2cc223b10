"""What a user could pick instead, beside us: the same model, traffic and cores, in alternating rounds.

    python -m benchmarks.peers --checkpoint build/bert-base-checkpoint --model-dir build/bert-base --data FILE
    python -m benchmarks.peers --check              # do all answer the same? on the demo model
    python -m benchmarks.peers --trials openvino    # the settings of one peer that were tried, in the same rounds

Makes the environments and converted models that are missing. README.md beside this file says what each peer is.
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

from benchmarks.peers import check, servers
from benchmarks.peers.conversion import convert
from benchmarks.peers.environments import REQUIREMENTS
from benchmarks.peers.measure import Figures, Traffic, measure, medians, warm
from benchmarks.peers.question_answering import Reader
from benchmarks.peers.servers import OURS, PEERS, Models, Peer, Running
from tools.errors import ToolError, run
from tools.squad.examples import Example, read_examples

DEMO, DEMO_ARTIFACT = Path("models/demo"), Path("build/demo")
Contender = Callable[[], AbstractContextManager[Running]]


def main() -> None:
    """Prepare what is missing, then measure or check."""
    given = _parse()
    models, chosen = _prepare(given)
    examples = _examples(given)
    question = _body(examples[0])
    if given.trials:
        (peer,) = chosen
        contenders = {"as configured": _start(peer, models, peer.settings, question)}
        contenders |= {_difference(one, peer.settings): _start(peer, models, one, question) for one in peer.tried}
    else:
        contenders = {name: _start_ours(name, models) for name in OURS if given.only is None or name in given.only}
        contenders |= {peer.name: _start(peer, models, peer.settings, question) for peer in chosen}
    if given.check:
        _check(contenders, examples)
    else:
        _measure(given, contenders, _traffic(given, examples, models.checkpoint))


def _parse() -> argparse.Namespace:
    names = (*OURS, *(peer.name for peer in PEERS))
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, default=DEMO, help=f"Hugging Face's (default: {DEMO})")
    parser.add_argument("--model-dir", type=Path, default=DEMO_ARTIFACT, help="our artifact of the same checkpoint")
    parser.add_argument("--data", default="models/demo/held_out.json", help="questions in SQuAD's format")
    parser.add_argument("--questions", type=int, default=200, help="how many of them, spread over the file")
    parser.add_argument("--max-tokens", type=int, help="only questions that fit, with their context, into so many")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some of {','.join(names)}")
    parser.add_argument("--clients", type=int, default=4, help="questions under way at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="compare answers on the demo model; measure nothing")
    parser.add_argument("--trials", choices=[peer.name for peer in PEERS], help="compare the settings of one peer")
    parser.add_argument("--output", type=Path, help="write the figures of all rounds to this JSON file")
    given = parser.parse_args()
    if unknown := set(given.only or ()) - set(names):
        parser.error(f"--only knows {', '.join(names)}; not {', '.join(sorted(unknown))}")
    if given.check:
        given.checkpoint, given.model_dir = DEMO, DEMO_ARTIFACT
        given.only = given.only and [*OURS, *given.only]
    return given


def _prepare(given: argparse.Namespace) -> tuple[Models, list[Peer]]:
    if not (given.model_dir / "manifest.json").is_file():
        raise ToolError(f"{given.model_dir} holds no artifact: make quantize")
    wanted = [given.trials] if given.trials else given.only
    chosen = [peer for peer in PEERS if wanted is None or peer.name in wanted]
    converted = convert(given.checkpoint, {peer.environment for peer in chosen})
    return Models(given.checkpoint, given.model_dir, converted), chosen


def _examples(given: argparse.Namespace) -> list[Example]:
    """A fixed choice, spread over the file, in a fixed order that has no long stretch of one article."""
    examples = read_examples(given.data)
    if given.max_tokens:
        reader = Reader(given.checkpoint / "tokenizer.json")
        examples = [example for example in examples if max(_lengths(reader, example)) <= given.max_tokens]
    if not examples:
        raise ToolError(f"{given.data} holds no such questions")
    chosen = examples[:: max(1, len(examples) // given.questions)][: given.questions]
    random.Random(0).shuffle(chosen)
    return chosen


def _body(example: Example) -> bytes:
    return json.dumps({"question": example.question, "context": example.context}).encode()


def _lengths(reader: Reader, example: Example) -> tuple[int, ...]:
    """The tokens of each of its windows."""
    return tuple(len(window.ids) for window in reader.windows(example.question, example.context))


def _traffic(given: argparse.Namespace, examples: list[Example], checkpoint: Path) -> Traffic:
    reader = Reader(checkpoint / "tokenizer.json")
    of_length = {_lengths(reader, example): _body(example) for example in examples}
    return Traffic([_body(example) for example in examples], list(of_length.values()), given.clients)


def _start(peer: Peer, models: Models, settings: servers.Settings, question: bytes) -> Contender:
    return lambda: servers.running(peer, models, settings, question)


def _start_ours(name: str, models: Models) -> Contender:
    return lambda: servers.ours(name, models)


def _difference(settings: servers.Settings, configured: servers.Settings) -> str:
    different = {name: value for name, value in settings.items() if configured.get(name) != value}
    return " ".join(f"{name.removeprefix('OV_')}={value}" for name, value in different.items())


def _measure(given: argparse.Namespace, contenders: dict[str, Contender], traffic: Traffic) -> None:
    console = Console(width=120)
    rounds: dict[str, list[Figures]] = {name: [] for name in contenders}
    for number in range(given.rounds):
        for name, start in contenders.items():
            with start() as server:
                warm(server, traffic)
                figures = measure(server, traffic)
            rounds[name].append(figures)
            speed, disturbed = figures.queries_per_second, figures.disturbed_percent
            console.print(f"round {number + 1}: {name}: {speed:.2f} queries/s, disturbed by {disturbed:.0f} %")
    console.print(_table(given, {name: medians(of_name) for name, of_name in rounds.items()}))
    if given.output:
        report = _circumstances(given) | {"rounds": {name: [asdict(one) for one in of] for name, of in rounds.items()}}
        given.output.write_text(json.dumps(report, indent=1))


def _table(given: argparse.Namespace, summary: dict[str, Figures]) -> Table:
    title = f"{given.checkpoint}, {given.questions} questions of {Path(given.data).name}, {given.clients} clients"
    table = Table(title=f"{title}, medians of {given.rounds} rounds")
    reference = next(iter(summary))
    for column in (
        "",
        "queries/s",
        f"{reference} / this",
        "P50 ms",
        "P90 ms",
        "P99 ms",
        "memory MB",
        "disturbed",
        "errors",
    ):
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
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu.partition(":")[2].strip(),
        "python": platform.python_version(),
        "pins": {file.stem: file.read_text().splitlines() for file in sorted(REQUIREMENTS.glob("*.txt"))},
        "arguments": {name: str(value) for name, value in vars(given).items()},
    }


def _check(contenders: dict[str, Contender], examples: list[Example]) -> None:
    given = {}
    for name, start in contenders.items():
        with start() as server:
            given[name] = check.answers(server, examples)
    table = Table(title=f"{len(examples)} questions on the demo model, percent")
    for column in ("", "exact match", "F1", *(f"agrees with {name}" for name in OURS)):
        table.add_column(column, justify="right" if column else "left")
    for name, texts in given.items():
        row = asdict(check.quality(texts, *(given[our] for our in OURS), examples))
        table.add_row(name, *(f"{value:.1f}" for value in row.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    run(main)
