"""Checks of training itself. test_train_demo.py runs this file in a process without IPEX."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.tools.training_setup import LIMITS, TRAIN, demo_featurizer
from tools.checkpoint import open_checkpoint
from tools.train_demo import training_data
from tools.train_demo.settings import TrainingSettings
from tools.train_demo.trainer import Trainer
from tools.train_demo.training import STATE_FILE, train


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    small_checkpoint: Any, tmp_path: Path
) -> None:
    encoder, state = str(small_checkpoint("electra")), tmp_path / STATE_FILE
    labelled = training_data.label_windows(training_data.read_training_questions(TRAIN), demo_featurizer(), LIMITS)
    steps = training_data.make_batches(labelled, 512, seed=0)[:6]

    def run(trainer: Trainer, begin: int, end: int) -> None:
        for number in range(begin, end):
            trainer.step(steps[number], number, 1e-3, 1.0)

    straight = Trainer(encoder, tmp_path, 0, 0.01)
    run(straight, 0, 6)
    straight.save(tmp_path / "straight")
    interrupted = Trainer(encoder, tmp_path, 0, 0.01)
    run(interrupted, 0, 4)
    interrupted.save_state(state, "key", 4)
    resumed = Trainer(encoder, tmp_path, 1, 0.01)
    assert resumed.restore_state(state, "another run's key") == 0
    assert resumed.restore_state(state, "key") == 4
    run(resumed, 4, 6)
    resumed.save(tmp_path / "resumed")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("resumed", "straight"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_writes_a_checkpoint_and_its_model_card(small_checkpoint: Any, tmp_path: Path) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps({"data": json.loads(TRAIN.read_text())["data"][:3]}))
    settings = TrainingSettings(
        epochs=1, cloze_per_context=1, tokens_per_step=1000, warmup_steps=1, save_every=1, limits=LIMITS
    )
    train(str(small_checkpoint("electra")), [few], few, tmp_path / "made", settings)
    assert open_checkpoint(str(tmp_path / "made")).load_model()
    card = (tmp_path / "made" / "README.md").read_text()
    assert "few.json" in card
    assert "exact match" in card
    assert not (tmp_path / "made" / STATE_FILE).exists()


def test_training_lowers_the_loss(small_checkpoint: Any, tmp_path: Path) -> None:
    trainer = Trainer(str(small_checkpoint("distilbert")), tmp_path, 0, 0.01)
    batch = training_data.label_windows(training_data.read_training_questions(TRAIN), demo_featurizer(), LIMITS)[:8]
    losses = [trainer.step(batch, number, 1e-3, 1.0) for number in range(20)]
    assert losses[-1] < 0.7 * losses[0]
