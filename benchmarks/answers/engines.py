"""Compare the answers of two artifacts of one checkpoint that different engines run, in this process.

    python -m benchmarks.answers.engines build/demo build/demo-openvino --data SQUAD_FILE

It prints each question whose best span differs, with both answers and their scores.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import traffic
from benchmarks.arguments import HELD_OUT
from container import cpu
from container.precision import PRECISIONS, Precision
from model_loader.artifact import open_artifact
from serve.qa.types import Answer
from tools.errors import run
from tools.local_model import LocalModel
from tools.squad.examples import Example, read_examples
from tools.squad.rules import rules_for


def main() -> None:
    """Answer all questions with both artifacts, and print where they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model_dirs", nargs=2, type=Path, metavar="MODEL_DIR", help="the two artifacts")
    parser.add_argument("--precision", choices=PRECISIONS, default="FP32", help="precision to compare (default: FP32)")
    parser.add_argument("--data", default=HELD_OUT, help=f"questions in SQuAD's format (default: {HELD_OUT})")
    given = parser.parse_args()
    examples = read_examples(given.data)
    ours, theirs = (answers(path, given.precision, examples) for path in given.model_dirs)
    pairs = list(zip(examples, ours, theirs, strict=True))
    differing = [pair for pair in pairs if (pair[1].start, pair[1].end) != (pair[2].start, pair[2].end)]
    for example, first, second in differing:
        print(f"{example.id}: {first.answer!r} ({first.score:.6f}), {second.answer!r} ({second.score:.6f})")
    largest = max(abs(first.score - second.score) for _, first, second in pairs)
    print(f"{len(pairs)} questions, {len(differing)} spans differ; the largest difference of a score is {largest:.1e}")


def answers(model_dir: Path, precision: Precision, examples: Sequence[Example]) -> list[Answer]:
    """Return an artifact's best answer to each question."""
    artifact = open_artifact(model_dir, (precision,), cpu.detect())
    model = LocalModel(artifact.models[0], traffic.open_cutter(artifact))
    rules = rules_for(examples)
    return [model.answer(example, rules) for example in examples]


if __name__ == "__main__":
    run(main)
