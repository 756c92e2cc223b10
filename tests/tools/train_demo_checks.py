"""Training itself, in a process of its own: where IPEX is loaded it replaces kernels that have no gradient then.

tests/test_tools_train_demo.py runs this file.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from serve.qa.features import Featurizer, WindowLimits
from tools.checkpoint import open_checkpoint
from tools.train_demo import __main__ as train_demo
from tools.train_demo import training_data
from tools.train_demo.__main__ import Settings
from tools.train_demo.trainer import Trainer

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "models" / "demo" / "calibration.json"
LIMITS = WindowLimits(64, 16, 32)


@pytest.fixture(scope="session")
def featurizer() -> Featurizer:
    return Featurizer(ROOT / "models" / "demo" / "tokenizer.json")


def test_a_run_that_goes_on_ends_as_one_that_was_not_interrupted(
    small_checkpoint: Any, tmp_path: Path, featurizer: Featurizer
) -> None:
    encoder, state = str(small_checkpoint("electra")), tmp_path / train_demo.STATE
    labelled = training_data.label(training_data.read_questions(TRAIN), featurizer, LIMITS)
    steps = training_data.batches(labelled, 512, seed=0)[:6]

    def run(trainer: Trainer, begin: int, end: int) -> None:
        for number in range(begin, end):
            trainer.step(steps[number], number, 1e-3, 1.0)

    straight = Trainer(encoder, tmp_path, 0, 0.01)
    run(straight, 0, 6)
    straight.save(tmp_path / "straight")
    interrupted = Trainer(encoder, tmp_path, 0, 0.01)
    run(interrupted, 0, 4)
    interrupted.remember(state, "key", 4)
    resumed = Trainer(encoder, tmp_path, 1, 0.01)
    assert resumed.resume(state, "another run's key") == 0
    assert resumed.resume(state, "key") == 4
    run(resumed, 4, 6)
    resumed.save(tmp_path / "resumed")
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("resumed", "straight"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_run_writes_a_checkpoint_that_can_be_quantized_and_its_card(small_checkpoint: Any, tmp_path: Path) -> None:
    few = tmp_path / "few.json"
    few.write_text(json.dumps({"data": json.loads(TRAIN.read_text())["data"][:3]}))
    settings = Settings(
        epochs=1, cloze_per_context=1, tokens_per_step=1000, warmup_steps=1, save_every=1, limits=LIMITS
    )
    train_demo.train(str(small_checkpoint("electra")), [few], few, tmp_path / "made", settings)
    assert open_checkpoint(str(tmp_path / "made")).load_model()
    card = (tmp_path / "made" / "README.md").read_text()
    assert "few.json" in card
    assert "exact match" in card
    assert not (tmp_path / "made" / train_demo.STATE).exists()


def test_training_lowers_the_loss(small_checkpoint: Any, tmp_path: Path, featurizer: Featurizer) -> None:
    trainer = Trainer(str(small_checkpoint("distilbert")), tmp_path, 0, 0.01)
    batch = training_data.label(training_data.read_questions(TRAIN), featurizer, LIMITS)[:8]
    losses = [trainer.step(batch, number, 1e-3, 1.0) for number in range(20)]
    assert losses[-1] < 0.7 * losses[0]
