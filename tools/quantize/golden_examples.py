"""Golden examples: a few questions, with what each precision answers when the artifact is made."""

from collections.abc import Callable, Sequence

import numpy as np

from container.precision import Precision
from model_loader.manifest import GoldenExample, GoldenResult
from serve.qa.features import Window
from serve.qa.spans import SpanRules, rank
from tools.errors import ToolError
from tools.local_model import Cutter, Logits
from tools.squad.examples import Example

GOLDEN_EXAMPLES = 4  # the server answers them before it is ready
MAX_TOKENS = 128
DECIMALS = 5  # of a stored logit: beyond what kernels agree on
RULES = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=True)


def choose_examples(cutter: Cutter, examples: Sequence[Example]) -> list[Example]:
    """A few short examples of one window, each from another context, spread over the file.

    Raises: ToolError where there is none.
    """
    short: dict[str, Example] = {}
    for example in examples:
        _, windows = cutter.cut(example)
        if len(windows) == 1 and len(windows[0].input_ids) <= min(MAX_TOKENS, cutter.limits.max_seq_len):
            short.setdefault(example.context, example)
    if not short:
        raise ToolError(f"the calibration file has no question of at most {MAX_TOKENS} tokens for a golden example")
    found = list(short.values())
    return [found[i] for i in np.linspace(0, len(found) - 1, min(GOLDEN_EXAMPLES, len(found))).round().astype(int)]


def results(cutter: Cutter, chosen: Sequence[Example], forward: Callable[[Window], Logits]) -> list[GoldenResult]:
    """What a model answers to the golden examples."""
    return [_result(cutter, example, forward) for example in chosen]


def _result(cutter: Cutter, example: Example, forward: Callable[[Window], Logits]) -> GoldenResult:
    document, windows = cutter.cut(example)
    logits = forward(windows[0])
    best = rank(example.context, document, windows, [logits], RULES)[0]
    start, end = (np.round(part.astype(float), DECIMALS).tolist() for part in logits)
    return GoldenResult(answer=best.answer, start_logits=start, end_logits=end)


def differences(found: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> tuple[float, float]:
    """Root-mean-square and largest difference of two sets of logits."""
    gap = np.concatenate([np.array(r.start_logits + r.end_logits) for r in found]) - np.concatenate(
        [np.array(r.start_logits + r.end_logits) for r in reference]
    )
    return float(np.sqrt(np.mean(gap**2))), float(np.abs(gap).max())


def same_answers(found: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> int:
    """How many answers agree."""
    return sum(a.answer == b.answer for a, b in zip(found, reference, strict=True))


def manifest_entries(
    cutter: Cutter, chosen: Sequence[Example], by_precision: dict[Precision, list[GoldenResult]]
) -> list[GoldenExample]:
    """The manifest's golden examples; FP32's results are the checkpoint's own, so they are always there."""
    made = []
    for index, example in enumerate(chosen):
        window = cutter.cut(example)[1][0]
        made.append(
            GoldenExample(
                question=example.question,
                context=example.context,
                input_ids=window.input_ids.tolist(),
                context_offset=window.context_offset,
                results={precision: found[index] for precision, found in by_precision.items()},
            )
        )
    return made
