"""Phases, batches and the learning rate."""

from pathlib import Path

import numpy as np
import pytest

from serve.qa.features import WindowLimits
from tests.tools.demo_files import CALIBRATION, HELD_OUT
from tests.tools.training_setup import LIMITS, demo_featurizer, demo_windows
from tools.errors import ToolError
from tools.train_demo.schedule import all_batches, make_batches
from tools.train_demo.settings import Phase, TrainingSettings, files_of
from tools.train_demo.training_data import write_windows


def test_a_phase_names_its_files_and_how_often_each_is_asked() -> None:
    phase = Phase.parse("a.json, data/b.json:3")
    assert phase.files == ((Path("a.json"), 1), (Path("data/b.json"), 3))
    assert str(phase) == "a.json, b.json:3"


@pytest.mark.parametrize("text", ["", "a.json,", "a.json:0"])
def test_a_phase_that_makes_no_sense_raises_an_error(text: str) -> None:
    with pytest.raises(ToolError, match="write it as FILE,FILE:TIMES"):
        Phase.parse(text)


def test_each_phase_asks_its_own_questions_as_often_as_it_says(tmp_path: Path) -> None:
    phases = (Phase.parse(f"{CALIBRATION}"), Phase.parse(f"{HELD_OUT}:2,{CALIBRATION}"))
    settings = TrainingSettings(phases=phases, tokens_per_step=512, limits=LIMITS)
    windows = write_windows(tmp_path / "windows", files_of(phases), demo_featurizer(), LIMITS)
    batches = all_batches(windows, settings)
    asked = np.concatenate(batches)
    first, second = (len(part) for part in windows.parts)
    assert sorted(asked[:first]) == list(range(first))
    counts = np.bincount(asked[first:])
    assert counts[:first].tolist() == [1] * first
    assert counts[first:].tolist() == [2] * second


def test_batches_contain_every_window_once_and_keep_to_the_limit_of_tokens(tmp_path: Path) -> None:
    lengths = demo_windows(tmp_path / "windows").lengths
    positions = np.arange(len(lengths))
    batches = make_batches(lengths, positions, 512, seed=1)
    assert sorted(np.concatenate(batches)) == list(positions)
    assert all(len(batch) * lengths[batch].max() <= 512 for batch in batches)
    again, other = (make_batches(lengths, positions, 512, seed) for seed in (1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(batches, again, strict=True))
    assert [batch.tolist() for batch in batches] != [batch.tolist() for batch in other]


def test_a_window_that_is_longer_than_a_batch_gets_a_batch_of_its_own() -> None:
    batches = make_batches(np.array([10, 600, 10]), np.arange(3), 100, seed=0)
    assert sorted(map(len, batches)) == [1, 2]


def test_the_learning_rate_rises_and_falls_once_over_all_phases() -> None:
    settings = TrainingSettings(phases=(), peak_rate=1.0, warmup_steps=10, limits=WindowLimits(384, 128, 64))
    rates = [settings.rate(step, 100) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("steps", [1, 2, 40])
def test_the_learning_rate_of_a_short_run_reaches_its_peak_and_falls_again(steps: int) -> None:
    settings = TrainingSettings(phases=(), peak_rate=1.0, warmup_steps=100)
    rates = [settings.rate(step, steps) for step in range(steps)]
    assert max(rates) == 1.0
    assert rates[-1] == (1.0 if steps < 3 else pytest.approx(1 / 36))
