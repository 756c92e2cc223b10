"""What the tests of training share: the data, the limits of windows, the demo model's tokenizer, and a window file."""

from pathlib import Path

from serve.qa.features import Featurizer, WindowLimits
from tests.tools.demo_files import CALIBRATION, DEMO
from tools.train_demo.training_data import WindowFile, write_windows

TRAIN = CALIBRATION
LIMITS = WindowLimits(64, 16, 32)


def demo_featurizer() -> Featurizer:
    return Featurizer(DEMO / "tokenizer.json")


def demo_windows(path: Path) -> WindowFile:
    return write_windows(path, [TRAIN], demo_featurizer(), LIMITS)
