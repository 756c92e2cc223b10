"""The model card of a trained checkpoint."""

import re
from pathlib import Path

import pytest

from tools.train_demo.arguments import Options
from tools.train_demo.evaluation import Measured
from tools.train_demo.model_card import FILE_NAME, write_card
from tools.train_demo.settings import Phase, TrainingSettings


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (1, "1 step of at most 3,000 tokens, 1 different window, .* peak rate 0.0001, 1 step of warm-up"),
        (400, "400 steps of at most 3,000 tokens, 400 different windows, .* peak rate 0.0001, 40 steps of warm-up"),
        (6_000, "6,000 steps of at most 3,000 tokens, 6,000 different windows, .* 100 steps of warm-up"),
    ],
)
def test_the_card_has_the_steps_of_warm_up_that_the_run_had(tmp_path: Path, steps: int, words: str) -> None:
    settings = TrainingSettings(phases=(Phase.parse("train.json"),), warmup_steps=100)
    options = Options("models/demo", Path("dev.json"), tmp_path, 100, settings)
    write_card(options, steps, steps, [], Measured((steps,), 70.0, 80.0))
    assert re.search(words, (tmp_path / FILE_NAME).read_text())
