"""Checks of training itself. test_train_demo.py runs this file in a process without IPEX."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from serve.qa.features import Window
from tests.tools.training_setup import demo_windows
from tools.checkpoint.checkpoint import open_checkpoint
from tools.train_demo.evaluation import BestWeights, Measured
from tools.train_demo.trainer import Trainer


def test_training_lowers_the_loss(small_checkpoint: Any, tmp_path: Path) -> None:
    trainer = Trainer(open_checkpoint(str(small_checkpoint("distilbert"))), 0, 0.01)
    windows = demo_windows(tmp_path / "windows")
    batch = [windows[position] for position in range(8)]
    losses = [trainer.step(batch, number, 1e-3, 1.0) for number in range(20)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_mean_of_saved_weights_is_their_mean(small_checkpoint: Any, tmp_path: Path) -> None:
    trainer = Trainer(open_checkpoint(str(small_checkpoint("electra"))), 0, 0.01)
    windows = demo_windows(tmp_path / "windows")
    files = [tmp_path / f"{number}.safetensors" for number in range(2)]
    for number, file in enumerate(files):
        trainer.step([windows[number]], number, 1e-2, 1.0)
        trainer.save_weights(file)
    trainer.load_mean(files)
    trainer.save_weights(tmp_path / "mean.safetensors")
    first, second, mean = (load_file(path) for path in (*files, tmp_path / "mean.safetensors"))
    assert any(not torch.equal(first[name], second[name]) for name in mean)
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (first[name] + second[name]) / 2)


@pytest.mark.parametrize(
    ("f1", "kept"), [((70, 60, 50, 65), (1,)), ((70, 60, 50, 75), (2, 3)), ((70, 60, 80, 75), (3,))]
)
def test_the_best_weights_are_kept_or_the_mean_of_the_last_if_it_is_better(
    small_checkpoint: Any, tmp_path: Path, f1: tuple[float, ...], kept: tuple[int, ...]
) -> None:
    trainer = Trainer(open_checkpoint(str(small_checkpoint("electra"))), 0, 0.01)
    windows = demo_windows(tmp_path / "windows")
    scores = iter(f1)

    def measure(forward: Any, *steps: int) -> Measured:
        start, _ = forward(Window(np.array([101, 7, 102, 8, 102], np.int32), 3, 0))
        assert np.isfinite(start).all()
        return Measured(steps, 0.0, next(scores))

    best = BestWeights(tmp_path, measure, average_last=2)
    copies = {}
    for step in (1, 2, 3):
        trainer.step([windows[step]], step, 1e-2, 1.0)
        best.measure(trainer, step)
        trainer.save_weights(tmp_path / f"copy-{step}")
        copies[step] = load_file(tmp_path / f"copy-{step}")
    assert best.load_best(trainer).steps == kept
    trainer.save_weights(tmp_path / "chosen")
    for name, tensor in load_file(tmp_path / "chosen").items():
        torch.testing.assert_close(tensor, sum(copies[step][name] for step in kept) / len(kept))
