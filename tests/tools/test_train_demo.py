"""The demo model's recipe: labels, batches, a run on a small model, interrupted and resumed."""

import subprocess
import sys
from pathlib import Path

import pytest

from serve.qa.features import Featurizer, WindowLimits
from tools.errors import ToolError
from tools.train_demo import training_data
from tools.train_demo.training_data import Question

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "models" / "demo" / "calibration.json"
LIMITS = WindowLimits(64, 16, 32)


@pytest.fixture(scope="session")
def featurizer() -> Featurizer:
    return Featurizer(ROOT / "models" / "demo" / "tokenizer.json")


def test_labels_mark_the_answer_in_the_windows_that_hold_it(featurizer: Featurizer) -> None:
    context = "word " * 60 + "built by Zoë Müller " + "word " * 60
    question = Question("Who built it?", context, context.index("Zoë"), context.index(" word", context.index("Zoë")))
    document = featurizer.encode_context(context)
    labelled = training_data.label([question], featurizer, LIMITS)
    holding = [each for each in labelled if each.start]
    assert len(labelled) > len(holding) >= 1
    for each in holding:
        first = each.start - each.window.context_offset + each.window.first_token
        last = each.end - each.window.context_offset + each.window.first_token
        assert context[document.starts[first] : document.ends[last]] == "Zoë Müller"


def test_cloze_questions_ask_for_what_stands_in_the_context() -> None:
    context = "In the north the town of Cape Arden has 1,250 people today. It was founded in 1871 by the engineer Zoë."
    made = training_data.cloze_questions([context, context], 10, seed=0)
    asked = {context[each.start : each.end]: each.question for each in made}
    assert {"1,250", "1871", "Cape Arden"} <= set(asked)
    assert asked["1871"] == "It was founded in what year by the engineer Zoë?"
    assert made == training_data.cloze_questions([context], 10, seed=0)


def test_batches_hold_every_window_once_within_their_tokens(featurizer: Featurizer) -> None:
    labelled = training_data.label(training_data.read_questions(TRAIN), featurizer, LIMITS)
    batches = training_data.batches(labelled, 512, seed=1)
    assert sorted(id(each) for batch in batches for each in batch) == sorted(map(id, labelled))
    assert all(len(batch) * max(len(each.window.input_ids) for each in batch) <= 512 for batch in batches)
    assert batches != training_data.batches(labelled, 512, seed=2)


@pytest.mark.parametrize("content", ["no JSON", '{"data": [{"paragraphs": [{"context": "x", "qas": [{}]}]}]}'])
def test_a_file_in_another_format_is_an_error_that_says_so(content: str, tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(ToolError, match="SQuAD's format"):
        training_data.read_questions(path)


def test_training_in_a_process_of_its_own() -> None:
    """What is in train_demo_checks.py: IPEX, which other tests load, replaces kernels that have no gradient then."""
    checks = Path(__file__).with_name("train_demo_checks.py")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(checks)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout
