"""Everything that shapes a training run, beside its files."""

from dataclasses import dataclass, field

from serve.qa.features import WindowLimits


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a run.

    Attributes:
        epochs: how often the questions of the files are asked.
        cloze_per_context: how many cloze questions are made of each context; they are asked once, before the others.
        tokens_per_step: the largest batch, padding included.
        peak_rate: the learning rate after the warm-up; then it decays linearly to 0.
        warmup_steps: how many steps the learning rate rises.
        weight_decay: of AdamW.
        gradient_norm: larger gradients are scaled down to this norm.
        seed: of the weights that the encoder lacks, of the batches and of dropout.
        save_every: after how many steps the state is saved.
        limits: how windows are cut.
    """

    epochs: int = 4
    cloze_per_context: int = 0
    tokens_per_step: int = 3000
    peak_rate: float = 1.5e-4
    warmup_steps: int = 150
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    seed: int = 0
    save_every: int = 100
    limits: WindowLimits = field(default_factory=lambda: WindowLimits(384, 128, 64))

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step; `steps` is the number of all steps."""
        rising = (step + 1) / self.warmup_steps
        falling = (steps - step) / max(1, steps - self.warmup_steps)
        return self.peak_rate * min(1.0, rising, falling)
