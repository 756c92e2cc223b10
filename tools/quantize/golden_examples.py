"""Make golden examples: a few questions, with their token ids and each precision's answer when the artifact was made.

The server tokenizes these texts again before it is ready, to find out whether the tokenizer belongs to the model, and
asks these questions again, to find out whether the precision works on its CPU.

The texts are in golden_texts.json and were written for this project, so an artifact never contains its maker's data.
They have several lengths and scripts, capital letters, accents and rare characters, so that vocabularies of any
language and with any treatment of capitals show their differences.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from container.precision import Precision
from container.tasks.names import ModelTask
from model_loader.manifest import GoldenExample, GoldenResult
from serve.qa.document import Document
from serve.qa.features import Window
from serve.qa.highlight.highlights import ends_of
from serve.qa.highlight.token_relevance import TokenRelevance
from serve.qa.spans import rank
from tools.errors import ToolError
from tools.local_model import Cutter, Logits
from tools.squad.examples import Example
from tools.squad.rules import EVALUATION_RULES

TEXTS = Path(__file__).with_name("golden_texts.json")
DECIMALS = 5  # of a stored logit; different kernels do not agree on more
# Root mean square, relative to the logits. Rounding makes 7e-7 with the demo model at every strength, and 2e-5 at most
# with small random models; a setting that changes the mathematics made 1 (relative_key_query).
MAX_ROUNDING = 1e-3
GOLDEN_RULES = replace(EVALUATION_RULES, align_to_words=True)


@dataclass(frozen=True)
class GoldenReference:
    """The examples, and the results of the checkpoint itself, in the same order. task: that of the checkpoint."""

    examples: Sequence[Example]
    results: Sequence[GoldenResult]
    task: ModelTask = "question-answering"


def read_golden_texts() -> list[Example]:
    """Return the questions and contexts of the golden examples. They have no gold answers."""
    texts = json.loads(TEXTS.read_text(encoding="utf-8"))
    return [Example(f"golden-{number}", **text, answers=()) for number, text in enumerate(texts, 1)]


def golden_results(
    cutter: Cutter, examples: Sequence[Example], forward: Callable[[Window], Logits], task: ModelTask
) -> list[GoldenResult]:
    """Return a model's answer and logits for the first window of each golden example.

    Raises: ToolError if a logit is NaN or infinity.
    """
    return [_golden_result(cutter, example, forward, task) for example in examples]


def _golden_result(
    cutter: Cutter, example: Example, forward: Callable[[Window], Logits], task: ModelTask
) -> GoldenResult:
    document, windows = cutter.cut(example)
    logits = forward(windows[0])
    if not np.isfinite(logits).all():
        raise ToolError(
            "the model returns NaN or infinity, so its weights are damaged, or too large for this precision. Copy the "
            "checkpoint again, or quantize another one"
        )
    if task == "question-answering":
        answer = rank(example.context, document, windows[:1], [logits], GOLDEN_RULES)[0].answer
    else:
        answer = _best_sentence(example.context, document, windows[0], logits)
    start, end = (np.round(part.astype(float), DECIMALS).tolist() for part in logits)
    return GoldenResult(answer=answer, start_logits=start, end_logits=end)


def _best_sentence(context: str, document: Document, window: Window, logits: Logits) -> str:
    ends = ends_of(context)
    scores = TokenRelevance(document, ends)
    scores.add(window, logits)
    return "".join(context[ends[index - 1] if index else 0 : ends[index]] for index, _ in scores.best(0.0, 1)).strip()


def logit_difference(results: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> tuple[float, float]:
    """Return the root-mean-square and the largest difference of the logits over all golden examples."""
    difference = _all_logits(results) - _all_logits(reference)
    return float(np.sqrt(np.mean(difference**2))), float(np.abs(difference).max())


def check_rounding(situation: str, results: Sequence[GoldenResult], reference: Sequence[GoldenResult]) -> None:
    """Check that two ways to compute the same logits in FP32 differ by rounding only.

    situation: what it means if they do not, and what to do, for the message.

    Raises: ToolError.
    """
    rms, _ = logit_difference(results, reference)
    size = float(np.sqrt(np.mean(_all_logits(reference) ** 2)))
    if not rms <= MAX_ROUNDING * size:
        raise ToolError(f"{situation} (the logits are {size:.3g} and differ by {rms:.3g}, root mean square)")


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
