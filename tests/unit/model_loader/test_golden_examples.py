"""Probes: how far logits are from those of the day the artifact was made."""

import numpy as np
import pytest

from container.precision import Precision
from model_loader.golden_examples import MAX_DRIFT, ROUNDING, drift, rms_difference, same_best
from model_loader.manifest import GoldenExample, GoldenResult, MadeWith, Manifest, PrecisionEntry

Pairs = list[tuple[np.ndarray, np.ndarray]]


def example(fp32: list[float] | None, int8: list[float]) -> GoldenExample:
    """A example whose start logits are these, and whose end logits are these negated."""
    golden: dict[Precision, list[float]] = {"INT8": int8}
    if fp32 is not None:
        golden["FP32"] = fp32
    results = {
        precision: GoldenResult(answer="x", start_logits=logits, end_logits=[-logit for logit in logits])
        for precision, logits in golden.items()
    }
    return GoldenExample(question="q", context="c", input_ids=[0] * len(int8), context_offset=1, results=results)


def manifest(*examples: GoldenExample) -> Manifest:
    entry = {"sha256": "0" * 64, "size_bytes": 1, "engine": "torchscript", "fused_groups": 0, "recipe": {}}
    return Manifest(
        schema_version=2,
        task="question-answering",
        source_model="test",
        model_type="bert",
        layers=1,
        inputs=["input_ids"],
        max_seq_len=16,
        doc_stride=0,
        made_with=MadeWith(cpu="", isa="", python="", torch="", ipex=None, transformers="", created=""),
        precisions={
            "INT8": PrecisionEntry.model_validate({"file": "a", "rms_difference": 0.25, **entry}),
            "FP32": PrecisionEntry.model_validate({"file": "b", "rms_difference": 0.0, **entry}),
        },
        golden_examples=list(examples),
    )


def logits(*starts: list[float]) -> Pairs:
    return [(np.array(start, dtype=np.float32), -np.array(start, dtype=np.float32)) for start in starts]


def test_equal_logits_do_not_differ() -> None:
    assert rms_difference([example([1.0, 2.0], [0.0, 0.0])], logits([1.0, 2.0])) == 0


def test_the_difference_is_the_root_of_the_mean_square_over_all_tokens_of_all_golden_examples() -> None:
    examples = [example([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]), example([1.0], [0.0])]
    here = logits([3.0, 0.0, 0.0], [2.0])
    assert rms_difference(examples, here) == pytest.approx(((9 + 9 + 1 + 1) / 8) ** 0.5)


def test_end_logits_count_as_start_logits_do() -> None:
    start, end = logits([1.0, 2.0])[0]
    assert rms_difference([example([1.0, 2.0], [0.0, 0.0])], [(start, end + 2)]) == pytest.approx(2**0.5)


def test_another_precision_can_be_the_reference() -> None:
    examples = [example([5.0], [1.0])]
    assert rms_difference(examples, logits([1.0]), "INT8") == 0
    assert rms_difference(examples, logits([1.0]), "FP32") == pytest.approx(4)


def test_a_golden_example_without_logits_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        rms_difference([example([1.0], [1.0]), example([1.0], [1.0])], logits([1.0]))


def test_int8_is_held_against_fp32_and_may_drift_twice_as_far_as_it_did() -> None:
    found, allowed = drift(manifest(example([1.0, 1.0], [1.25, 0.75])), "INT8", logits([1.5, 0.5]))
    assert found == pytest.approx(0.5)
    assert allowed == pytest.approx(MAX_DRIFT * 0.25 + ROUNDING)


def test_fp32_may_drift_by_rounding_only() -> None:
    found, allowed = drift(manifest(example([1.0], [9.0])), "FP32", logits([1.0 + 2 * ROUNDING]))
    assert allowed == pytest.approx(ROUNDING)
    assert found > allowed


def test_without_fp32_a_precision_is_held_against_itself() -> None:
    found, _ = drift(manifest(example(None, [1.0])), "INT8", logits([1.5]))
    assert found == pytest.approx(0.5)


def test_fp32_is_the_reference_only_where_every_golden_example_has_it() -> None:
    found, _ = drift(manifest(example([7.0], [1.0]), example(None, [2.0])), "INT8", logits([1.0], [2.0]))
    assert found == 0


def test_nan_is_no_small_drift() -> None:
    found, allowed = drift(manifest(example([1.0], [1.0])), "INT8", logits([float("nan")]))
    assert not found <= allowed


def test_best_starts_and_ends_are_counted() -> None:
    made = manifest(example(None, [0.0, 5.0, 1.0]), example(None, [4.0, 5.0, 6.0]))
    assert same_best(made, "INT8", logits([0.1, 4.0, 1.0], [3.0, 5.0, 9.0])) == 2
    assert same_best(made, "INT8", logits([0.1, 4.0, 1.0], [3.0, 9.0, 5.0])) == 1
