"""The model card of a trained checkpoint: README.md in its directory."""

from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "README.md"


def write_card(directory: Path, facts: Mapping[str, str]) -> None:
    """Write the card, with a table of facts about the model."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    (directory / FILE_NAME).write_text(f"# A question-answering model\n\n| | |\n| --- | --- |\n{rows}")


def add_accuracy(directory: Path, accuracy: str) -> None:
    """Add the measured accuracy to the card."""
    with (directory / FILE_NAME).open("a") as card:
        card.write(f"\nMeasured (`train_demo`): {accuracy}.\n")
