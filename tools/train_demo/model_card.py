"""The model card of a trained checkpoint: README.md in its directory."""

from collections.abc import Sequence

from tools.squad.question_tally import counted
from tools.train_demo.arguments import Options
from tools.train_demo.evaluation import Measured

FILE_NAME = "README.md"


def write_card(options: Options, steps: int, windows: int, history: Sequence[Measured], measured: Measured) -> None:
    """Write the card: how the checkpoint was made, and how accurate it is.

    Args:
        options: the command line of the run.
        steps: the number of its steps.
        windows: the number of windows of all its files.
        history: what was measured during the run.
        measured: the accuracy of the checkpoint as it is on disk.
    """
    settings = options.settings
    phases = "; ".join(f"{number}. {phase}" for number, phase in enumerate(settings.phases, 1))
    facts = {
        "started from": options.encoder,
        "trained on, in phases": phases,
        "how": f"{counted(steps, 'step')} of at most {settings.tokens_per_step:,} tokens, "
        f"{counted(windows, 'different window')}, bfloat16 autocast, AdamW, peak rate {settings.peak_rate:g}, "
        f"{counted(settings.warmup(steps), 'step')} of warm-up, linear decay, no dropout in attention, "
        f"seed {settings.seed}",
        "accuracy": f"exact match {measured.exact_match:.2f}, F1 {measured.f1:.2f} on {options.evaluation.name}, FP32",
    }
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    card = f"# A question-answering model\n\n| | |\n| --- | --- |\n{rows}"
    if history:
        chosen = max(history, key=lambda one: one.f1)
        lines = "".join(f"- {one}{', kept' if one is chosen else ''}\n" for one in history)
        card += (
            f"\nMeasured on {options.evaluation.name} during the run. These measurements chose the weights, so the "
            f"accuracy on questions that took no part in the choice may be a little lower.\n\n{lines}"
        )
    (options.output / FILE_NAME).write_text(card, encoding="utf-8")
