"""Which examples are calibrated on, and which are held back."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.demo_files import CALIBRATION
from tests.unit.tools.test_local_model import FEATURIZER, LIMITS, LONG_QUESTIONS
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.quantize.calibration import askable, evenly_spread, read_calibration, split_by_context
from tools.squad.examples import read_examples


def test_whole_contexts_are_held_back() -> None:
    examples = read_examples(str(CALIBRATION))
    calibrating, held_back = split_by_context(examples)
    assert len(calibrating) + len(held_back) == len(examples)
    assert not {one.context for one in calibrating} & {one.context for one in held_back}
    assert 0.15 < len(held_back) / len(examples) < 0.35


def test_questions_that_cannot_be_asked_are_left_out() -> None:
    cutter = Cutter(FEATURIZER, LIMITS)
    good = read_examples(str(CALIBRATION))
    bad = [replace(good[0], question=question) for question in (*LONG_QUESTIONS, "", " ")]
    assert askable([*bad, *good], cutter, "file", 100, holds_back=False) == (good, len(bad))
    with pytest.raises(ToolError, match="without the 6 questions that cannot be asked, file has 19 examples"):
        askable([*bad, *good[:19]], cutter, "file", 100, holds_back=False)


def test_a_calibration_file_needs_no_answers_unless_the_search_compares_them(tmp_path: Path) -> None:
    content = json.loads(CALIBRATION.read_text())
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                del question["answers"]
    file = tmp_path / "without.json"
    file.write_text(json.dumps(content))
    assert len(read_calibration(str(file), 100, holds_back=False)) == len(read_examples(str(CALIBRATION)))
    with pytest.raises(ToolError, match="not in SQuAD's format"):
        read_calibration(str(file), 100, holds_back=True)


@pytest.mark.parametrize(("count", "chosen"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (99, list(range(10)))])
def test_chosen_items_are_spread_from_the_first_to_the_last(count: int, chosen: list[int]) -> None:
    assert evenly_spread(range(10), count) == chosen
