"""Which examples INT8 is calibrated on, and which are held back for the search of a recipe."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tools.errors import ToolError
from tools.local_model import Cutter
from tools.squad.examples import Example, read_examples

T = TypeVar("T")
MIN_CALIBRATION_WINDOWS = 20  # fewer windows do not show the range of the activations
HELD_BACK = 4  # the search holds every fourth context back


def read_calibration(source: str, steps: int, *, holds_back: bool) -> list[Example]:
    """Read the calibration examples.

    Args:
        source: a file in SQuAD's format, or the name of a part of SQuAD, such as squad:train.
        steps: how many calibration windows the user has asked for.
        holds_back: whether a part of the contexts is held back for the search.

    Raises: ToolError if there are too few examples.
    """
    examples = read_examples(source, reads_answers=holds_back)  # the search compares answers with gold answers
    check_enough(examples, source, steps, holds_back=holds_back)
    return examples


def read_held_out(source: str) -> list[Example]:
    """Read the examples on which the artifact is measured.

    Raises: ToolError if there are none.
    """
    examples = read_examples(source)
    if not examples:
        raise ToolError(f"{source} contains no questions, so it cannot measure the artifact. Name another --evaluation")
    return examples


def askable(
    examples: Sequence[Example], cutter: Cutter, source: str, steps: int, *, holds_back: bool
) -> tuple[list[Example], int]:
    """Leave out the questions that are too long or have no words; return the others, and how many were left out.

    Raises: ToolError if too few examples remain.
    """
    chosen = [example for example in examples if cutter.can_ask(example)]
    left_out = len(examples) - len(chosen)
    if left_out:
        check_enough(
            chosen, f"without the {left_out} questions that cannot be asked, {source}", steps, holds_back=holds_back
        )
    return chosen, left_out


def check_enough(examples: Sequence[Example], source: str, steps: int, *, holds_back: bool) -> None:
    """Check that there are enough examples to calibrate on.

    Raises: ToolError.
    """
    if len(examples) < MIN_CALIBRATION_WINDOWS:
        raise ToolError(
            f"{source} has {len(examples)} examples; calibration needs at least {MIN_CALIBRATION_WINDOWS}, "
            f"better {steps}"
        )
    if holds_back and len(split_by_context(examples)[0]) < MIN_CALIBRATION_WINDOWS:
        raise ToolError(
            f"{source}: --recipe auto holds every {HELD_BACK}th context back, and fewer than "
            f"{MIN_CALIBRATION_WINDOWS} examples remain; add examples of more contexts, or name a recipe"
        )


def split_by_context(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the examples to calibrate on and the examples to hold back.

    Neighbouring examples share a context, so whole contexts are held back.
    """
    contexts = list(dict.fromkeys(example.context for example in examples))
    held_back = set(contexts[::HELD_BACK])
    return (
        [example for example in examples if example.context not in held_back],
        [example for example in examples if example.context in held_back],
    )


def evenly_spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` of the items, evenly spread over all of them."""
    indices = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[index] for index in indices]
