"""What an exported file shows when it is loaded again: fusion, speed, golden examples, accuracy."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model_loader import artifact
from model_loader.errors import ModelLoadError
from model_loader.manifest import GoldenResult, PrecisionEntry
from model_loader.model_file import ModelFile
from serve.qa.features import Window
from tools.answers.source import RULES as EVALUATION_RULES
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel
from tools.quantize import golden_examples as golden
from tools.squad.accuracy import accuracy
from tools.squad.examples import Example

if TYPE_CHECKING:
    pass

TIMED_TOKENS = (128, 384)
TIMED_PASSES = 15


@dataclass(frozen=True)
class Built:
    """One precision: its manifest entry, and what its saved file showed when it was loaded again."""

    entry: PrecisionEntry
    results: list[GoldenResult]
    median_ms: dict[int, float]
    largest_difference: float


def measure(
    file: ModelFile,
    recipe: dict[str, Any],
    cutter: Cutter,
    questions: tuple[Sequence[Example], Sequence[GoldenResult], Sequence[Example]],
) -> Built:
    """Load the saved file as the server does; fusion, speed, golden examples, accuracy."""
    golden_questions, reference, held_out = questions
    try:
        model = LocalModel(file, cutter)
    except ModelLoadError as error:
        raise ToolError(f"the {file.precision} file that was just written does not load: {error}") from None
    if file.precision == "INT8" and model.fused_groups == 0:
        raise ToolError("the INT8 graph is not fused: it would be slower than FP32. Is IPEX 2.8.0 installed?")
    results = golden.results(cutter, golden_questions, model.forward)
    rms, largest = golden.differences(results, reference)
    answers = [model.answer(example, EVALUATION_RULES).answer for example in held_out]
    path = Path(file.path)
    entry = PrecisionEntry(
        file=path.name,
        sha256=artifact.sha256_of(path),
        size_bytes=path.stat().st_size,
        engine=file.engine,
        fused_groups=model.fused_groups,
        rms_difference=rms,
        recipe=recipe,
        accuracy=accuracy(held_out, answers) if held_out else None,
    )
    timed = [tokens for tokens in TIMED_TOKENS if tokens <= cutter.limits.max_seq_len]
    return Built(entry, results, {tokens: _median_ms(model, tokens) for tokens in timed}, largest)


def _median_ms(model: LocalModel, tokens: int) -> float:
    window = Window(np.full(tokens, 1000, dtype=np.int32), tokens // 4, first_token=0)
    times = []
    for _ in range(TIMED_PASSES + 1):
        start = time.perf_counter()
        model.forward(window)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])  # the first may have warmed the rung
