"""Warnings about contexts that serve two purposes, and how questions are counted."""

from dataclasses import replace

from tests.tools.demo_files import CALIBRATION, HELD_OUT
from tools.squad.examples import read_examples
from tools.squad.question_tally import QuestionTally, counted
from tools.squad.shared_contexts import EvaluationContexts


def test_files_without_a_common_context_give_no_warning() -> None:
    held_out = EvaluationContexts.of("dev.json", read_examples(str(HELD_OUT)))
    assert held_out.warnings((one.context for one in read_examples(str(CALIBRATION))), "train.json") == []


def test_common_contexts_are_counted_once_each() -> None:
    examples = read_examples(str(HELD_OUT))
    contexts = list(dict.fromkeys(one.context for one in examples))
    seen = [one.context for one in examples if one.context in contexts[:3]]
    (warning,) = EvaluationContexts.of("dev.json", examples).warnings(seen, "train.json")
    assert warning.startswith(f"warning: 3 of {len(contexts)} contexts of dev.json are also in train.json, so ")
    one = EvaluationContexts.of("dev.json", [replace(examples[0], context="It rained.")])
    assert one.warnings(["It rained."], "t.json")[0].startswith("warning: 1 of 1 context of dev.json is also in t.json")


def test_a_tally_says_for_each_reason_how_many_questions_are_left_out() -> None:
    tally = QuestionTally("train.json", 35)
    for number in range(5):
        tally.leave_out(f"q{number}", "it rained")
    tally.leave_out("q7", "it snowed")
    assert tally.notes() == [
        "train.json: 5 of 35 questions are left out, because it rained; the first one is q0",
        "train.json: 1 of 35 questions is left out, because it snowed; the first one is q7",
    ]
    assert QuestionTally("train.json", 35).notes() == []


def test_a_number_has_its_noun_in_the_singular_or_the_plural() -> None:
    assert [counted(number, "step") for number in (0, 1, 2, 1000)] == ["0 steps", "1 step", "2 steps", "1,000 steps"]
