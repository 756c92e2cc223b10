"""Load an exported file again, as the server does, and measure fusion, golden examples, accuracy and speed."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_loader.errors import ModelLoadError
from model_loader.manifest import GoldenResult, HashedFile, PrecisionEntry
from model_loader.model_file import ModelFile
from model_loader.signing.file_hash import sha256_of
from serve.qa.features import Window
from tools.errors import ToolError
from tools.local_model import Cutter, LocalModel
from tools.quantize.golden_examples import GoldenReference, check_rounding, golden_results, logit_difference
from tools.squad.accuracy import accuracy
from tools.squad.examples import Example
from tools.squad.rules import rules_for

TIMED_TOKENS = (128, 384)
TIMED_PASSES = 15
ANY_TOKEN_ID = 1000  # the speed does not depend on which tokens a window holds


@dataclass(frozen=True)
class MeasuredFile:
    """The file of one precision: its entry in the manifest, and what the file showed when it was loaded again.

    Attributes:
        entry: the entry in the manifest.
        golden_results: answers and logits of the golden examples.
        median_ms: the median time of a forward pass, by the tokens of the window.
        largest_difference: the largest difference of a logit of the golden examples from the checkpoint's own.
    """

    entry: PrecisionEntry
    golden_results: list[GoldenResult]
    median_ms: dict[int, float]
    largest_difference: float


def measure_file(
    file: ModelFile, recipe: dict[str, Any], cutter: Cutter, golden: GoldenReference, held_out: Sequence[Example]
) -> MeasuredFile:
    """Measure one file.

    Args:
        file: the file that has just been written.
        recipe: how it was made, for the manifest.
        cutter: cuts examples into windows.
        golden: the golden examples, with the checkpoint's results.
        held_out: the examples to measure exact match and F1 on; may be empty.

    Raises: ToolError if the file does not load, INT8 is not fused, or FP32 is not the checkpoint's.
    """
    try:
        model = LocalModel(file, cutter)
    except ModelLoadError as error:
        raise ToolError(f"the {file.precision} file that was just written does not load: {error}") from None
    if file.precision == "INT8" and model.fused_groups == 0:
        raise ToolError(
            f"the INT8 graph does not run in INT8 ({file.engine}), so it would be slower than FP32. Are the versions "
            "in container/requirements*.txt installed?"
        )
    results = golden_results(cutter, golden.examples, model.forward, golden.task)
    rms, largest = logit_difference(results, golden.results)
    if file.precision == "FP32":
        check_rounding("the FP32 file returns other logits than the checkpoint", results, golden.results)
    rules = rules_for(held_out)
    answers = [model.answer(example, rules).answer for example in held_out]
    entry = PrecisionEntry(
        **_hashed(Path(file.path)),
        weights=HashedFile(**_hashed(Path(file.path).with_suffix(".bin"))) if file.engine == "openvino" else None,
        engine=file.engine,
        fused_groups=model.fused_groups,
        rms_difference=rms,
        recipe=recipe,
        accuracy=accuracy(held_out, answers) if held_out else None,
    )
    timed = [tokens for tokens in TIMED_TOKENS if tokens <= cutter.limits.max_seq_len]
    return MeasuredFile(entry, results, {tokens: _median_ms(model, tokens) for tokens in timed}, largest)


def _hashed(path: Path) -> dict[str, Any]:
    return {"file": path.name, "sha256": sha256_of(path), "size_bytes": path.stat().st_size}


def _median_ms(model: LocalModel, tokens: int) -> float:
    window = Window(np.full(tokens, ANY_TOKEN_ID, dtype=np.int32), tokens // 4, first_token=0)
    times = []
    for _ in range(TIMED_PASSES + 1):
        start = time.perf_counter()
        model.forward(window)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])  # the first pass may have warmed the rung
