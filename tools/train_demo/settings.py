"""Everything that shapes a training run, beside the encoder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serve.qa.features import WindowLimits
from tools.errors import ToolError

FILE_WITH_TIMES = re.compile(r"(?P<file>.+?)(?::(?P<times>\d+))?")


@dataclass(frozen=True)
class Phase:
    """A mixture of questions that are asked in random order. files: (file, how often its questions are asked)."""

    files: tuple[tuple[Path, int], ...]

    @classmethod
    def parse(cls, text: str) -> "Phase":
        """Read a phase as it is written on the command line, such as `a.json,b.json:2`.

        Raises: ToolError.
        """
        files = []
        for part in text.split(","):
            found = FILE_WITH_TIMES.fullmatch(part.strip())
            times = int(found["times"] or 1) if found else 0
            if not found or not times:
                raise ToolError(f"--phase {text}: write it as FILE,FILE:TIMES, such as a.json,b.json:2")
            files.append((Path(found["file"]), times))
        return cls(tuple(files))

    def __str__(self) -> str:
        """Return the names of the files, with `:TIMES` after each that is asked more than once."""
        return ", ".join(file.name if times == 1 else f"{file.name}:{times}" for file, times in self.files)


def files_of(phases: Sequence[Phase]) -> list[Path]:
    """Return every file of the phases once, in the order in which they are first used."""
    return list(dict.fromkeys(file for phase in phases for file, _ in phase.files))


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a run.

    Attributes:
        phases: what is asked, one phase after the other.
        tokens_per_step: the largest batch, padding included.
        peak_rate: the learning rate after the warm-up; then it decays linearly to 0 over the steps of all phases.
        warmup_steps: how many steps the learning rate rises, but never more than a tenth of all steps.
        weight_decay: of AdamW.
        gradient_norm: larger gradients are scaled down to this norm.
        seed: of the weights that the encoder lacks, of the batches and of dropout.
        evaluate_every: after how many steps the model is measured; None: only at the end.
        average_last: how many of the last measured weights are averaged; 1: none.
        limits: how windows are cut.
        allow_pickle: whether the weights of the encoder may be a pickle, which can run code when it is loaded.
    """

    phases: tuple[Phase, ...]
    tokens_per_step: int = 3000
    peak_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    seed: int = 0
    evaluate_every: int | None = None
    average_last: int = 1
    limits: WindowLimits = field(default_factory=lambda: WindowLimits(384, 128, 64))
    allow_pickle: bool = False

    def warmup(self, steps: int) -> int:
        """Return how many steps the learning rate rises in a run of `steps` steps."""
        return max(1, min(self.warmup_steps, steps // 10))

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step; `steps` is the number of all steps."""
        warmup = self.warmup(steps)
        rising = (step + 1) / warmup
        falling = (steps - step) / max(1, steps - warmup)
        return self.peak_rate * min(1.0, rising, falling)
