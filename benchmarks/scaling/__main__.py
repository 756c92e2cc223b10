"""Predict how the rate and the price of answers grow with the number of cores.

    python -m benchmarks.scaling --model-dir build/bert-base --data SQUAD_FILE

First the costs are measured on a real server with one core and one client. Then a simulation predicts what saturated
servers with one and two cores answer, and real servers show whether it is right. Last it runs for up to 96 cores. The
table and the plot are written to build/scaling.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import traffic
from benchmarks.arguments import BERT_BASE, add_precision, add_questions, benchmark_parser
from benchmarks.scaling.measured import measure_costs, rungs_of, send, server_on
from benchmarks.scaling.plot import draw
from benchmarks.scaling.simulation import Costs, Outcome, simulate
from container import cpu
from model_loader.artifact import open_artifact
from tools.errors import run
from tools.fingerprint import summary_line, take_fingerprint
from tools.remote.instance_prices import PRICES, dollars_per_million, physical_cores

CORES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96)
CLIENTS_PER_CORE = 4  # enough that no lane waits for a client
# Answers of each simulation for one client. When it ends, half of the HTTP work on up to all clients' questions is done
# without an answer: half a question of 100 for each client, which is the error of the rate.
ANSWERS_PER_CLIENT = 100
FEWEST_ANSWERS = 5000
# The price of a core is the same for all sizes of a family in the table of prices.
DOLLARS_PER_CORE_HOUR = PRICES["ml.c6i.xlarge"].dollars_per_hour / physical_cores("ml.c6i.xlarge")


def main() -> None:
    """Measure, check the prediction, and predict."""
    parser = benchmark_parser(__doc__, model_dir=BERT_BASE)
    add_precision(parser)
    add_questions(parser, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="real measurements for each number of cores (default: 3)")
    parser.add_argument("--output", type=Path, default=Path("build/scaling"), help="directory (default: build/scaling)")
    given = parser.parse_args()
    costs, questions, info = check_predictions(given)
    rows = {cores: predict(costs, questions, cores) for cores in CORES}
    given.output.mkdir(parents=True, exist_ok=True)
    for line in table(rows):
        print(line)
    machine = take_fingerprint(info, "benchmarks.scaling", sys.argv[1:])
    title = f"{given.precision}; {summary_line(machine)}"
    draw(rows, costs, DOLLARS_PER_CORE_HOUR, title).savefig(given.output / "scaling.png")
    rates = {cores: outcome.questions_per_second for cores, outcome in rows.items()}
    found = {
        "machine": machine,
        "http_ms": costs.http,
        "pass_ms": costs.passes,
        "questions_per_second": rates,
    }
    (given.output / "scaling.json").write_text(json.dumps(found, indent=2) + "\n")
    print(f"wrote {given.output}/scaling.png and scaling.json")


def check_predictions(given: Namespace) -> tuple[Costs, list[list[int]], dict[str, Any]]:
    """Measure the costs, and compare predicted with real rates on one core and on two.

    Return the costs, the rungs of the windows of each question, and the server's /info.
    """
    examples = traffic.read(given.data, given.questions)
    bodies = traffic.bodies(examples, given.precision)
    box = cpu.detect()
    artifact = open_artifact(given.model_dir, (given.precision,), box)
    costs: Costs | None = None
    for count in range(1, min(2, len(box.cores)) + 1):
        with server_on(box.cores[:count], given.model_dir, given.precision) as server:
            info = server.info()
            if costs is None:
                questions = rungs_of(server, artifact, examples, given.precision)
                costs = measure_costs(server, bodies, questions, given.precision)
                print(f"measured with one client: {describe(costs)}")
            local = count == len(box.cores)  # then the load generator needs the same cores
            predicted = predict(costs if local else replace(costs, generator=0), questions, count)
            clients = CLIENTS_PER_CORE * count
            rates = sorted(send(server, bodies, clients).queries_per_second for _ in range(given.rounds))
        real = rates[len(rates) // 2]
        print(
            f"{count} core(s), {clients} clients: predicted {predicted.questions_per_second:.1f} questions/s, "
            f"real {real:.1f} (median of {', '.join(f'{rate:.1f}' for rate in rates)}): "
            f"{predicted.questions_per_second / real:.3f}"
        )
    assert costs
    return replace(costs, generator=0), questions, info


def predict(costs: Costs, questions: Sequence[Sequence[int]], cores: int) -> Outcome:
    """Return what a saturated server with this number of cores does."""
    clients = CLIENTS_PER_CORE * cores
    answers = max(FEWEST_ANSWERS, ANSWERS_PER_CLIENT * clients)
    return simulate(costs, questions, cores=cores, clients=clients, answers=answers)


def describe(costs: Costs) -> str:
    """Return the costs as a line."""
    passes = ", ".join(f"{rung}: {ms:.1f}" for rung, ms in sorted(costs.passes.items()))
    return f"HTTP {costs.http:.2f} ms, load generator {costs.generator:.2f} ms, pass by rung {passes}"


def table(rows: dict[int, Outcome]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield "| cores | questions/s | a core | HTTP process | lanes | dollars for a million |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for cores, outcome in rows.items():
        rate = outcome.questions_per_second
        dollars = dollars_per_million(DOLLARS_PER_CORE_HOUR * cores, rate)
        yield (
            f"| {cores} | {rate:.0f} | {rate / cores:.1f} | {100 * outcome.http_share:.0f} % | "
            f"{100 * outcome.lanes_share:.0f} % | {dollars:.2f} |"
        )


if __name__ == "__main__":
    run(main)
