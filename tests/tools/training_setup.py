"""What the tests of training share: the data, the limits of windows, and the demo model's tokenizer."""

from serve.qa.features import Featurizer, WindowLimits
from tests.tools.demo_files import CALIBRATION, DEMO

TRAIN = CALIBRATION
LIMITS = WindowLimits(64, 16, 32)


def demo_featurizer() -> Featurizer:
    return Featurizer(DEMO / "tokenizer.json")
