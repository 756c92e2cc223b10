"""Fine-tune a BERT-family encoder on questions in SQuAD's format, as the demo model was made.

    python -m tools.train_demo --encoder ENCODER --train my-train.json --evaluation my-test.json --output build/mine

Training runs on a GPU if there is one, else on the CPU. After an interruption, the same command continues where it
stopped. The output is a checkpoint for `quantize`, with a model card that says how it was made and how accurate it is.
"""

import sys

from tools.errors import run
from tools.train_demo.arguments import parse_arguments
from tools.train_demo.settings import TrainingSettings


def main() -> None:
    """Train, save the checkpoint, and measure it."""
    given = parse_arguments(sys.argv[1:], __doc__)
    settings = TrainingSettings(
        epochs=given.epochs,
        cloze_per_context=given.cloze_per_context,
        peak_rate=given.peak_rate,
        seed=given.seed,
    )
    from tools.train_demo.training import train  # importing torch takes seconds: the arguments are checked first

    train(given.encoder, given.train, given.evaluation, given.output, settings)


if __name__ == "__main__":
    run(main)
