"""Which examples are calibrated on, and which are held back."""

import pytest

from tests.tools.demo_files import CALIBRATION
from tools.quantize.calibration import evenly_spread, split_by_context
from tools.squad.examples import read_examples


def test_whole_contexts_are_held_back() -> None:
    examples = read_examples(str(CALIBRATION))
    calibrating, held_back = split_by_context(examples)
    assert len(calibrating) + len(held_back) == len(examples)
    assert not {one.context for one in calibrating} & {one.context for one in held_back}
    assert 0.15 < len(held_back) / len(examples) < 0.35


@pytest.mark.parametrize(("count", "chosen"), [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (99, list(range(10)))])
def test_chosen_items_are_spread_from_the_first_to_the_last(count: int, chosen: list[int]) -> None:
    assert evenly_spread(range(10), count) == chosen
