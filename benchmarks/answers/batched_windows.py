"""Compare the answers when several windows share one call of the model with those when each window runs alone.

python -m benchmarks.answers.batched_windows --data squad.json --windows 4

It takes the questions whose context fits into one window of at most 192 tokens, as servers do for batches.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from rich.progress import track

from benchmarks.answers.spans_against_run_qa import RULES
from benchmarks.arguments import DEMO, HELD_OUT, add_precision, benchmark_parser
from benchmarks.traffic import open_cutter
from container import cpu
from model_loader.artifact import open_artifact
from model_loader.engines import torchscript
from serve.lanes.batches.batches import LONGEST_RUNG
from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.spans import rank
from tools.errors import run
from tools.local_model import Cutter
from tools.squad.examples import Example, read_examples

BATCH_RUNG_STEP = 32  # every second rung of the finest ladder
TWO_BEST = replace(RULES, top_k=2)


class Cut(NamedTuple):
    """A question whose context is one window."""

    example: Example
    document: Document
    window: Window


class Compared(NamedTuple):
    """One question, answered alone and in a batch. lead: the best score over the second one's, both alone."""

    logit_difference: float
    is_same: bool
    lead: float


def main() -> None:
    """Print how many answers differ, by how much the logits differ, and how close the scores of other answers are."""
    parser = benchmark_parser(__doc__, model_dir=DEMO)
    add_precision(parser)
    parser.add_argument("--data", default=HELD_OUT, help=f"questions in SQuAD's format (default: {HELD_OUT})")
    parser.add_argument("--windows", type=int, default=4, help="number of windows in one call (default: 4)")
    given = parser.parse_args()
    artifact = open_artifact(given.model_dir, (given.precision,), cpu.detect())
    cuts = list(short_cuts(open_cutter(artifact), read_examples(given.data)))
    model = torchscript.load(artifact.models[0])
    compared = [each for batch in batches(cuts, given.windows) for each in compare(model, batch)]
    differing = [each for each in compared if not each.is_same]
    print(f"{given.precision}, {len(compared)} questions in calls of {given.windows} windows")
    print(f"largest difference of a logit: {max(each.logit_difference for each in compared):.6f}")
    print(f"other answers: {len(differing)}")
    for each in differing:
        print(f"  the best score is {each.lead:.4f} times the second one")


def short_cuts(cutter: Cutter, examples: Iterable[Example]) -> Iterator[Cut]:
    """Yield the questions whose context is one short window."""
    for example in examples:
        if cutter.can_ask(example):
            document, windows = cutter.cut(example)
            if len(windows) == 1 and len(windows[0].input_ids) <= LONGEST_RUNG:
                yield Cut(example, document, windows[0])


def batches(cuts: Iterable[Cut], size: int) -> Iterator[list[Cut]]:
    """Yield full batches of windows that are padded to the same rung."""
    waiting: defaultdict[int, list[Cut]] = defaultdict(list)
    for cut in track(list(cuts)):
        batch = waiting[rung_of(cut.window)]
        batch.append(cut)
        if len(batch) == size:
            yield batch.copy()
            batch.clear()


def rung_of(window: Window, step: int = BATCH_RUNG_STEP) -> int:
    """Return the rung of a window."""
    return -(-len(window.input_ids) // step) * step


def compare(model: torchscript.TorchScriptModel, batch: list[Cut]) -> Iterator[Compared]:
    """Run windows alone, as a server pads them then, and in one call."""
    together = model.forward_batch([cut.window for cut in batch], rung_of(batch[0].window))
    for cut, in_batch in zip(batch, together, strict=True):
        rung = rung_of(cut.window, BATCH_RUNG_STEP // 2)
        alone = model.forward(cut.window.input_ids, cut.window.context_offset, rung)
        best, *others = rank(cut.example.context, cut.document, [cut.window], [alone], TWO_BEST)
        found = rank(cut.example.context, cut.document, [cut.window], [in_batch], TWO_BEST)[0]
        yield Compared(
            float(max(np.abs(one - other).max() for one, other in zip(alone, in_batch, strict=True))),
            (best.start, best.end) == (found.start, found.end),
            best.score / others[0].score if others else float("inf"),
        )


if __name__ == "__main__":
    run(main)
