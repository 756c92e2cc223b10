"""Labels, cloze questions and batches of training data."""

from pathlib import Path

import pytest

from tests.tools.training_setup import LIMITS, TRAIN, demo_featurizer
from tools.errors import ToolError
from tools.train_demo import training_data
from tools.train_demo.training_data import TrainingQuestion


def test_labels_mark_the_answer_in_every_window_that_contains_it() -> None:
    context = "word " * 60 + "built by Zoë Müller " + "word " * 60
    question = TrainingQuestion(
        "Who built it?", context, context.index("Zoë"), context.index(" word", context.index("Zoë"))
    )
    document = demo_featurizer().encode_context(context)
    labelled = training_data.label_windows([question], demo_featurizer(), LIMITS)
    holding = [each for each in labelled if each.start]
    assert len(labelled) > len(holding) >= 1
    for each in holding:
        first = each.start - each.window.context_offset + each.window.first_token
        last = each.end - each.window.context_offset + each.window.first_token
        assert context[document.starts[first] : document.ends[last]] == "Zoë Müller"


def test_cloze_questions_ask_for_numbers_years_and_names_of_the_context() -> None:
    context = "In the north the town of Cape Arden has 1,250 people today. It was founded in 1871 by the engineer Zoë."
    made = training_data.make_cloze_questions([context, context], 10, seed=0)
    asked = {context[each.start : each.end]: each.question for each in made}
    assert {"1,250", "1871", "Cape Arden"} <= set(asked)
    assert asked["1871"] == "It was founded in what year by the engineer Zoë?"
    assert made == training_data.make_cloze_questions([context], 10, seed=0)


def test_batches_contain_every_window_once_and_keep_to_the_limit_of_tokens() -> None:
    labelled = training_data.label_windows(training_data.read_training_questions(TRAIN), demo_featurizer(), LIMITS)
    batches = training_data.make_batches(labelled, 512, seed=1)
    assert sorted(id(each) for batch in batches for each in batch) == sorted(map(id, labelled))
    assert all(len(batch) * max(len(each.window.input_ids) for each in batch) <= 512 for batch in batches)
    assert batches != training_data.make_batches(labelled, 512, seed=2)


@pytest.mark.parametrize("content", ["no JSON", '{"data": [{"paragraphs": [{"context": "x", "qas": [{}]}]}]}'])
def test_a_file_of_another_format_raises_an_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(ToolError, match="SQuAD's format"):
        training_data.read_training_questions(path)
