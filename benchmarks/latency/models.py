"""Compare artifacts, one pass at a time on all cores: each precision at two lengths, and the memory of its process.

    python -m benchmarks.latency.models build/bert-base build/roberta-base

Passes of all artifacts alternate, and the ratios are those to the first artifact. `taskset -c 0` before the command
measures one core.
"""

import argparse
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.latency import in_process_loop
from benchmarks.line_process import LineProcess, line_process
from container import cpu
from container.precision import PRECISIONS, Precision
from model_loader.artifact import open_artifact
from tools.errors import run

LENGTHS = (128, 384)  # tokens


def main() -> None:
    """Measure every precision of the artifacts, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model_dirs", nargs="+", type=Path, metavar="MODEL_DIR", help="artifacts to compare")
    parser.add_argument(
        "--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS, help="precisions to measure (default: all)"
    )
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="tokens of a window (default: 128 384)")
    parser.add_argument("--rounds", type=int, default=30, help="passes of each (default: 30)")
    given = parser.parse_args()
    machine = cpu.detect()
    table = Table(title=f"{machine.model}, {machine.isa}, {len(machine.cores)} cores", title_justify="left")
    for column in ("artifact", "precision", *(f"ms at {tokens} (ratio)" for tokens in given.lengths), "MB"):
        table.add_column(column, justify="left" if column == "artifact" else "right")
    for precision in given.precisions:
        holding = [path for path in given.model_dirs if has(path, precision, machine)]
        columns = [measure(holding, precision, tokens, given.rounds) for tokens in given.lengths]
        for index, path in enumerate(holding):
            cells = [f"{ms[index]:.1f} ({ms[index] / ms[0]:.2f})" for ms, _ in columns]
            table.add_row(path.name, precision, *cells, f"{columns[0][1][index]:.0f}")
    Console().print(table)


def has(model_dir: Path, precision: Precision, machine: cpu.Cpu) -> bool:
    """Return whether an artifact has a precision that this machine runs."""
    return precision in [file.precision for file in open_artifact(model_dir, None, machine).models]


def measure(
    model_dirs: Sequence[Path], precision: Precision, tokens: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Return the median milliseconds of a pass of each artifact, and the megabytes of its process."""
    with ExitStack() as stack:
        loops: list[LineProcess] = [
            stack.enter_context(line_process(in_process_loop, path, precision, tokens)) for path in model_dirs
        ]
        times: list[list[float]] = [[] for _ in loops]
        for _ in range(rounds):
            for loop, into in zip(loops, times, strict=True):
                loop.begin()
                loop.result()  # This pass is not counted: the weights of the other artifacts are in the cache.
                loop.begin()
                into.append(loop.result())
        memory = [psutil.Process(loop.pid).memory_info().rss / 1e6 for loop in loops]
    return [statistics.median(each) for each in times], memory


if __name__ == "__main__":
    run(main)
