"""Labels of training windows, and the file that holds them."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from serve.qa.features import WindowLimits
from tests.tools.training_setup import LIMITS, TRAIN, demo_featurizer, demo_windows
from tools.errors import ToolError
from tools.train_demo.training_data import TrainingQuestion, label_windows, read_training_questions, write_windows


def test_labels_mark_the_answer_in_every_window_that_contains_it() -> None:
    context = "word " * 60 + "built by Zoë Müller " + "word " * 60
    answer = context.index("Zoë")
    question = TrainingQuestion("Who built it?", context, answer, context.index(" word", answer))
    labelled = list(label_windows([question], demo_featurizer(), LIMITS))
    holding = [each for each in labelled if each.start]
    assert len(labelled) > len(holding) >= 1
    tokens = demo_featurizer().encode_context("Zoë Müller").whole.ids.tolist()
    for each in holding:
        assert each.input_ids[each.start : each.end + 1].tolist() == tokens


def test_a_question_that_is_too_long_is_left_out() -> None:
    context = "Zoë built it."
    long, short = (TrainingQuestion(f"Who{' really' * words}?", context, 0, 3) for words in (40, 1))
    assert len(list(label_windows([long, short], demo_featurizer(), LIMITS))) == 1


def test_a_plausible_answer_of_a_question_without_an_answer_is_not_trained_on(tmp_path: Path) -> None:
    answers = [{"text": "Zoë", "answer_start": 0}]
    qas = [{"id": str(no), "question": "Who?", "answers": answers, "is_impossible": bool(no)} for no in (0, 1)]
    file = tmp_path / "v2.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Zoë did.", "qas": qas}]}]}))
    assert list(read_training_questions(file)) == [TrainingQuestion("Who?", "Zoë did.", 0, 3)]


def test_a_window_file_returns_the_windows_that_were_written(tmp_path: Path) -> None:
    written = list(label_windows(read_training_questions(TRAIN), demo_featurizer(), LIMITS))
    file = write_windows(tmp_path / "windows", [TRAIN, TRAIN], demo_featurizer(), LIMITS)
    assert file.parts == [range(len(written)), range(len(written), 2 * len(written))]
    for part in file.parts:
        for position, window in zip(part, written, strict=True):
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
        list(read_training_questions(path))


def test_questions_whose_answer_is_not_where_the_file_says_are_left_out(tmp_path: Path) -> None:
    answers = [{"text": "Zoë", "answer_start": 0}, {"text": "Zoë", "answer_start": 4}]
    qas = [{"id": str(number), "question": "Who?", "answers": [answer]} for number, answer in enumerate(answers)]
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Zoë built it.", "qas": qas}]}]}))
    assert [question.start for question in read_training_questions(path)] == [0]
