"""Labels of training windows, and the file that holds them."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve.qa.features import WindowLimits
from tests.tools.demo_files import HELD_OUT
from tests.tools.training_setup import LIMITS, TRAIN, demo_featurizer, demo_windows
from tools.errors import ToolError
from tools.squad.examples import read_examples
from tools.squad.question_tally import QuestionTally
from tools.squad.shared_contexts import EvaluationContexts
from tools.train_demo.training_data import TrainingQuestion, label_windows, read_training_questions, write_windows


def test_labels_mark_the_answer_in_every_window_that_contains_it() -> None:
    context = "word " * 60 + "built by Zoë Müller " + "word " * 60
    answer = context.index("Zoë")
    question = TrainingQuestion("q1", "Who built it?", context, answer, context.index(" word", answer))
    labelled = list(label_windows([question], demo_featurizer(), LIMITS, QuestionTally("")))
    holding = [each for each in labelled if each.start]
    assert len(labelled) > len(holding) >= 1
    tokens = demo_featurizer().encode_context("Zoë Müller").whole.ids.tolist()
    for each in holding:
        assert each.input_ids[each.start : each.end + 1].tolist() == tokens


def test_a_question_that_cannot_be_asked_is_left_out_and_counted() -> None:
    context, tally = "Zoë built it.", QuestionTally("train.json", 3)
    texts = (f"Who{' really' * 40}?", "Who?", " ")
    asked = [TrainingQuestion(str(number), text, context, 0, 3) for number, text in enumerate(texts)]
    assert len(list(label_windows(asked, demo_featurizer(), LIMITS, tally))) == 1
    assert tally.notes() == [
        "train.json: 2 of 3 questions are left out, because the question has no words, or more than 32 tokens; "
        "the first one is 0"
    ]


def test_a_plausible_answer_of_a_question_without_an_answer_is_not_trained_on(tmp_path: Path) -> None:
    answers = [{"text": "Zoë", "answer_start": 0}]
    qas = [{"id": str(no), "question": "Who?", "answers": answers, "is_impossible": bool(no)} for no in (0, 1)]
    file = written(tmp_path, "Zoë did.", qas)
    tally = QuestionTally("v2.json")
    assert list(read_training_questions(file, tally)) == [TrainingQuestion("0", "Who?", "Zoë did.", 0, 3)]
    assert tally.notes() == [
        "v2.json: 1 of 2 questions is left out, because the file has no answer to train on; the first one is 1"
    ]


def test_a_window_file_returns_the_windows_that_were_written(tmp_path: Path) -> None:
    tally = QuestionTally("")
    labelled = list(label_windows(read_training_questions(TRAIN, tally), demo_featurizer(), LIMITS, tally))
    file = write_windows(tmp_path / "windows", [TRAIN, TRAIN], demo_featurizer(), LIMITS)
    assert file.parts == [range(len(labelled)), range(len(labelled), 2 * len(labelled))]
    for part in file.parts:
        for position, window in zip(part, labelled, strict=True):
            read = file[position]
            assert np.array_equal(read.input_ids, window.input_ids)
            assert file.lengths[position] == len(window.input_ids)
            assert (read.context_offset, read.start, read.end) == (window.context_offset, window.start, window.end)


def test_memory_does_not_grow_with_the_text_of_the_questions(tmp_path: Path) -> None:
    demo_windows(tmp_path / "windows")  # what is allocated once
    tracemalloc.start()
    file = write_windows(tmp_path / "windows", [TRAIN] * 20, demo_featurizer(), WindowLimits(384, 128, 64))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(file.lengths) > 2_000
    assert held < 50 * len(file.lengths)  # the tokens alone would take 600 bytes a window


@pytest.mark.parametrize("content", ["no JSON", '{"data": [{"paragraphs": [{"context": "x", "qas": [{}]}]}]}'])
def test_a_file_of_another_format_raises_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(ToolError, match="SQuAD's format"):
        list(read_training_questions(path, QuestionTally("")))


def test_an_answer_without_answer_start_raises_an_error_that_names_it(tmp_path: Path) -> None:
    path = written(tmp_path, "Zoë built it.", [{"id": "q1", "question": "Who?", "answers": [{"text": "Zoë"}]}])
    with pytest.raises(ToolError, match=r"answers > text, answer_start\): 'answer_start' is missing"):
        list(read_training_questions(path, QuestionTally("")))


def test_questions_whose_answer_is_not_where_the_file_says_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "Zoë built it.", asked_at(0, 4, -13))
    assert len(write_windows(tmp_path / "windows", [path], demo_featurizer(), LIMITS).lengths) == 1
    assert capsys.readouterr().out == (
        "train.json: 2 of 3 questions are left out, because the answer does not stand at answer_start; "
        "the first one is q1\n"
    )


def test_a_file_without_a_question_to_train_on_raises_an_error_that_says_what_a_question_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "Zoë built it.", asked_at(4, 5))
    with pytest.raises(ToolError, match=r"train\.json: there is no question to train on\. .*`answer_start`"):
        write_windows(tmp_path / "windows", [path], demo_featurizer(), LIMITS)
    assert "2 of 2 questions are left out" in capsys.readouterr().out
    path.write_text('{"data": []}')
    with pytest.raises(ToolError, match=r"train\.json: there is no question to train on"):
        write_windows(tmp_path / "windows", [TRAIN, path], demo_featurizer(), LIMITS)


def test_contexts_that_are_for_evaluation_too_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples = read_examples(str(TRAIN))
    first, new = examples[0].context, "A context of its own."
    evaluation = EvaluationContexts("dev.json", frozenset((first, new)))
    write_windows(tmp_path / "windows", [TRAIN], demo_featurizer(), LIMITS, evaluation)
    assert capsys.readouterr().out == (
        f"warning: 1 of 2 contexts of dev.json is also in {TRAIN.name}, so the measured figures are better than they "
        "will be on new texts\n"
    )
    write_windows(tmp_path / "windows", [HELD_OUT], demo_featurizer(), LIMITS, evaluation)
    assert capsys.readouterr().out == ""


def asked_at(*starts: int) -> list[dict[str, Any]]:
    """Return one question for each answer_start; Zoë stands at 0."""
    return [
        {"id": f"q{number}", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": start}]}
        for number, start in enumerate(starts)
    ]


def written(directory: Path, context: str, qas: list[dict[str, Any]]) -> Path:
    """Write a file with one context in SQuAD's format."""
    path = directory / "train.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path
