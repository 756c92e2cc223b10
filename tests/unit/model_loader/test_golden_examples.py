"""The logits of golden examples are compared with those recorded at quantization."""

import numpy as np
import pytest

from container.precision import Precision
from model_loader.golden_examples import (
    MAX_DIFFERENCE_RATIO,
    ROUNDING_TOLERANCE,
    allowed_difference,
    count_matching_answers,
    difference_from_reference,
    rms_difference,
)
from model_loader.manifest import GoldenExample, GoldenResult, MadeWith, Manifest, PrecisionEntry, TokenizerFile

Pairs = list[tuple[np.ndarray, np.ndarray]]


def example(fp32: list[float] | None, int8: list[float]) -> GoldenExample:
    """Return an example with these start logits. Its end logits are the negated start logits."""
    recorded: dict[Precision, list[float]] = {"INT8": int8}
    if fp32 is not None:
        recorded["FP32"] = fp32
    results = {
        precision: GoldenResult(answer="x", start_logits=logits, end_logits=[-logit for logit in logits])
        for precision, logits in recorded.items()
    }
    return GoldenExample(question="q", context="c", input_ids=[0] * len(int8), context_offset=1, results=results)


def manifest(*examples: GoldenExample) -> Manifest:
    """Return a manifest in which INT8 differed from FP32 by 0.25 at quantization.

    The artifact has FP32 if every example has a result of FP32.
    """
    entry = {"sha256": "0" * 64, "size_bytes": 1, "engine": "torchscript", "fused_groups": 0, "recipe": {}}
    precisions = {"INT8": PrecisionEntry.model_validate({"file": "a", "rms_difference": 0.25, **entry})}
    if all("FP32" in each.results for each in examples):
        precisions["FP32"] = PrecisionEntry.model_validate({"file": "b", "rms_difference": 0.0, **entry})
    return Manifest(
        schema_version=3,
        task="question-answering",
        source_model="test",
        model_type="bert",
        layers=1,
        embedding_rows=1,
        inputs=["input_ids"],
        max_seq_len=16,
        doc_stride=0,
        made_with=MadeWith(cpu="", isa="", python="", torch="", ipex=None, transformers="", tokenizers="", created=""),
        tokenizer=TokenizerFile(file="tokenizer.json", sha256="0" * 64, size_bytes=1),
        precisions=precisions,
        golden_examples=list(examples),
    )


def logits(*starts: list[float]) -> Pairs:
    """Return these start logits of each example, with the negated start logits as end logits."""
    return [(np.array(start, dtype=np.float32), -np.array(start, dtype=np.float32)) for start in starts]


def test_equal_logits_have_no_difference() -> None:
    assert rms_difference([example([1.0, 2.0], [0.0, 0.0])], logits([1.0, 2.0])) == 0


def test_the_mean_is_taken_over_all_tokens_of_all_examples() -> None:
    examples = [example([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]), example([1.0], [0.0])]
    found = logits([3.0, 0.0, 0.0], [2.0])
    assert rms_difference(examples, found) == pytest.approx(((9 + 9 + 1 + 1) / 8) ** 0.5)


def test_end_logits_count_like_start_logits() -> None:
    start, end = logits([1.0, 2.0])[0]
    assert rms_difference([example([1.0, 2.0], [0.0, 0.0])], [(start, end + 2)]) == pytest.approx(2**0.5)


def test_another_precision_can_be_the_reference() -> None:
    examples = [example([5.0], [1.0])]
    assert rms_difference(examples, logits([1.0]), "INT8") == 0
    assert rms_difference(examples, logits([1.0]), "FP32") == pytest.approx(4)


def test_an_example_without_logits_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rms_difference([example([1.0], [1.0]), example([1.0], [1.0])], logits([1.0]))


def test_int8_is_compared_with_fp32_and_may_differ_twice_as_much_as_at_quantization() -> None:
    made = manifest(example([1.0, 1.0], [1.25, 0.75]))
    assert difference_from_reference(made, "INT8", logits([1.5, 0.5])) == pytest.approx(0.5)
    assert allowed_difference(made, "INT8") == pytest.approx(MAX_DIFFERENCE_RATIO * 0.25 + ROUNDING_TOLERANCE)


def test_fp32_may_differ_by_rounding_only() -> None:
    made = manifest(example([1.0], [9.0]))
    assert allowed_difference(made, "FP32") == pytest.approx(ROUNDING_TOLERANCE)
    assert difference_from_reference(made, "FP32", logits([1.0 + 2 * ROUNDING_TOLERANCE])) > ROUNDING_TOLERANCE


def test_without_fp32_a_precision_is_compared_with_itself() -> None:
    assert difference_from_reference(manifest(example(None, [1.0])), "INT8", logits([1.5])) == pytest.approx(0.5)


def test_fp32_is_the_reference_only_if_every_example_has_it() -> None:
    made = manifest(example([7.0], [1.0]), example(None, [2.0]))
    assert difference_from_reference(made, "INT8", logits([1.0], [2.0])) == 0


def test_nan_does_not_count_as_an_allowed_difference() -> None:
    made = manifest(example([1.0], [1.0]))
    assert not difference_from_reference(made, "INT8", logits([float("nan")])) <= allowed_difference(made, "INT8")


def test_an_answer_matches_if_its_best_start_and_its_best_end_are_those_recorded() -> None:
    made = manifest(example(None, [0.0, 5.0, 1.0]), example(None, [4.0, 5.0, 6.0]))
    assert count_matching_answers(made, "INT8", logits([0.1, 4.0, 1.0], [3.0, 5.0, 9.0])) == 2
    assert count_matching_answers(made, "INT8", logits([0.1, 4.0, 1.0], [3.0, 9.0, 5.0])) == 1
