"""Make golden examples: a few questions, with each precision's answer when the artifact was made.

The server asks these questions again before it is ready, to find out whether the precision works on its CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from container.precision import Precision
from model_loader.manifest import GoldenExample, GoldenResult
from serve.qa.features import Window
from serve.qa.spans import rank
from tools.errors import ToolError
from tools.local_model import Cutter, Logits
from tools.quantize.calibration import evenly_spread
from tools.squad.examples import Example
from tools.squad.rules import EVALUATION_RULES

GOLDEN_EXAMPLES = 4  # few, since the server answers all of them before it is ready
MAX_TOKENS = 128
DECIMALS = 5  # of a stored logit; different kernels do not agree on more
GOLDEN_RULES = replace(EVALUATION_RULES, align_to_words=True)


@dataclass(frozen=True)
class GoldenReference:
    """The examples that were chosen, and the results of the checkpoint itself, in the same order."""

    examples: Sequence[Example]
    results: Sequence[GoldenResult]


def choose_golden_examples(cutter: Cutter, examples: Sequence[Example]) -> list[Example]:
    """Choose a few short examples of one window, each from another context, spread over the file.

    Raises: ToolError if no example is short enough.
    """
    short: dict[str, Example] = {}
    for example in examples:
        _, windows = cutter.cut(example)
        if len(windows) == 1 and len(windows[0].input_ids) <= min(MAX_TOKENS, cutter.limits.max_seq_len):
            short.setdefault(example.context, example)
    if not short:
        raise ToolError(
            f"the calibration file has no question that makes a golden example: with its context, it must have at most "
            f"{MAX_TOKENS} tokens. Add a short one"
        )
    return evenly_spread(list(short.values()), GOLDEN_EXAMPLES)


def golden_results(
    cutter: Cutter, examples: Sequence[Example], forward: Callable[[Window], Logits]
) -> list[GoldenResult]:
    """Return a model's answer and logits for each golden example."""
    return [_golden_result(cutter, example, forward) for example in examples]


def _golden_result(cutter: Cutter, example: Example, forward: Callable[[Window], Logits]) -> GoldenResult:
    document, windows = cutter.cut(example)
    logits = forward(windows[0])
    best = rank(example.context, document, windows, [logits], GOLDEN_RULES)[0]
    start, end = (np.round(part.astype(float), DECIMALS).tolist() for part in logits)
    return GoldenResult(answer=best.answer, start_logits=start, end_logits=end)


def logit_difference(results: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> tuple[float, float]:
    """Return the root-mean-square and the largest difference of the logits over all golden examples."""
    difference = _all_logits(results) - _all_logits(reference)
    return float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max())


def _all_logits(results: Sequence[GoldenResult]) -> np.ndarray:
    return np.concatenate([np.array(result.start_logits + result.end_logits) for result in results])


def count_same_answers(results: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> int:
    """Return how many golden examples have the same answer in both."""
    return sum(ours.answer == theirs.answer for ours, theirs in zip(results, reference, strict=True))


def golden_examples_for_manifest(
    cutter: Cutter, examples: Sequence[Example], results: dict[Precision, Sequence[GoldenResult]]
) -> list[GoldenExample]:
    """Return the golden examples as the manifest stores them. results: each precision's, in the order of examples."""
    stored = []
    for index, example in enumerate(examples):
        window = cutter.cut(example)[1][0]
        stored.append(
            GoldenExample(
                question=example.question,
                context=example.context,
                input_ids=window.input_ids.tolist(),
                context_offset=window.context_offset,
                results={precision: of_precision[index] for precision, of_precision in results.items()},
            )
        )
    return stored
