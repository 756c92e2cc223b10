"""Fine-tunes a BERT-family encoder on questions in SQuAD's format: how a model like the demo's is made.

    python -m tools.train_demo --encoder ENCODER --train my-train.json --evaluation my-test.json --output build/mine

Runs on a GPU where there is one, else on the CPU's cores. Interrupted, the same command goes on where it stopped.
The output is a checkpoint for `quantize`, with a model card of what was measured.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from serve.qa.features import Featurizer, WindowLimits
from serve.qa.spans import rank
from tools import errors
from tools.errors import ToolError
from tools.train_demo import training_data
from tools.train_demo.training_data import Labelled

if TYPE_CHECKING:
    from tools.train_demo.trainer import Trainer

STATE = "training.pt"


@dataclass(frozen=True)
class Settings:
    """All that shapes a run, beside its files."""

    epochs: int = 4  # over the questions of the files
    cloze_per_context: int = 0  # questions made of each context's own sentences, asked once, before the others
    tokens_per_step: int = 3000
    peak_rate: float = 1.5e-4
    warmup_steps: int = 150
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    seed: int = 0
    save_every: int = 100  # steps
    limits: WindowLimits = field(default_factory=lambda: WindowLimits(384, 128, 64))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    default = Settings()
    parser = argparse.ArgumentParser(
        prog="train_demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--encoder", required=True, help="checkpoint to start from: a directory, or an id on the hub")
    parser.add_argument("--train", required=True, type=Path, nargs="+", help="files in SQuAD's format")
    parser.add_argument("--evaluation", required=True, type=Path, help="held-out file in SQuAD's format")
    parser.add_argument("--output", required=True, type=Path, help="directory for the checkpoint")
    parser.add_argument("--epochs", type=int, default=default.epochs, help=f"(default: {default.epochs})")
    parser.add_argument("--cloze-per-context", type=int, default=0, help="questions made of each context (default: 0)")
    parser.add_argument("--peak-rate", type=float, default=default.peak_rate, help=f"(default: {default.peak_rate:g})")
    parser.add_argument("--seed", type=int, default=default.seed, help=f"(default: {default.seed})")
    given = parser.parse_args(arguments)
    settings = Settings(given.epochs, given.cloze_per_context, peak_rate=given.peak_rate, seed=given.seed)
    errors.run(lambda: train(given.encoder, given.train, given.evaluation, given.output, settings))


def train(encoder: str, files: Sequence[Path], evaluation: Path, output: Path, settings: Settings) -> None:
    """Train, save, measure, and write the card.

    Raises: ToolError.
    """
    from tools.train_demo.trainer import Trainer  # torch takes seconds: not before the arguments are checked

    questions = [question for file in files for question in training_data.read_questions(file)]
    if not questions:
        raise ToolError("the training files hold no question with an answer in its context")
    output.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(encoder, output, settings.seed, settings.weight_decay)
    featurizer = Featurizer(output / "tokenizer.json")
    cloze = training_data.cloze_questions([q.context for q in questions], settings.cloze_per_context, settings.seed)
    steps = _steps(
        training_data.label(cloze, featurizer, settings.limits),
        training_data.label(questions, featurizer, settings.limits),
        settings,
    )
    key = {"encoder": encoder, "files": [file.read_text() for file in files], "settings": asdict(settings)}
    _run(trainer, steps, output / STATE, json.dumps(key), settings)
    trainer.save(output)
    card = {
        "started from": encoder,
        "trained on": f"{', '.join(file.name for file in files)}: {len(questions)} questions, {settings.epochs} times",
        "before": f"{len(cloze)} cloze questions of the same contexts, once",
        "how": f"{len(steps)} steps of at most {settings.tokens_per_step} tokens, bfloat16 autocast, AdamW, "
        f"peak rate {settings.peak_rate:g}, {settings.warmup_steps} steps of warm-up, linear decay, "
        f"seed {settings.seed}",
    }
    (output / "README.md").write_text(_card(card))
    _measure(output, evaluation, featurizer, settings.limits)
    (output / STATE).unlink(missing_ok=True)


def _steps(cloze: Sequence[Labelled], questions: Sequence[Labelled], settings: Settings) -> list[list[Labelled]]:
    """Every batch of the run: cloze questions once, then the others as often as epochs say."""
    steps = training_data.batches(cloze, settings.tokens_per_step, settings.seed) if cloze else []
    for epoch in range(settings.epochs):
        steps += training_data.batches(questions, settings.tokens_per_step, settings.seed + 1 + epoch)
    return steps


def _run(trainer: "Trainer", steps: Sequence[list[Labelled]], state: Path, key: str, settings: Settings) -> None:
    """All steps that are left."""
    done = trainer.resume(state, key)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("training", total=len(steps), completed=done)
        for step in range(done, len(steps)):
            rate = settings.peak_rate * min(
                1.0,
                (step + 1) / settings.warmup_steps,
                (len(steps) - step) / max(1, len(steps) - settings.warmup_steps),
            )
            loss = trainer.step(steps[step], step, rate, settings.gradient_norm)
            progress.update(bar, advance=1, description=f"training, loss {loss:.2f}")
            if (step + 1) % settings.save_every == 0:
                trainer.remember(state, key, step + 1)


def _measure(output: Path, evaluation: Path, featurizer: Featurizer, limits: WindowLimits) -> None:
    """Exact match and F1 of the saved checkpoint, onto its card and the screen."""
    from tools.answers.source import RULES
    from tools.checkpoint import checkpoint_forward, open_checkpoint
    from tools.local_model import Cutter
    from tools.squad import examples as squad
    from tools.squad.accuracy import accuracy

    examples = squad.read_examples(str(evaluation))
    cutter = Cutter(featurizer, limits)
    forward = checkpoint_forward(open_checkpoint(str(output)))
    answers = []
    with Progress() as progress:
        for example in progress.track(examples, description="measuring"):
            document, windows = cutter.cut(example)
            answers.append(rank(example.context, document, windows, [forward(w) for w in windows], RULES)[0].answer)
    found = accuracy(examples, answers)
    line = f"{evaluation.name}, {len(examples)} questions, FP32: "
    line += f"exact match {found['exact_match']:.2f}, F1 {found['f1']:.2f}"
    with (output / "README.md").open("a") as card:
        card.write(f"\nMeasured (`train_demo`): {line}.\n")
    print(line)


def _card(given: dict[str, str]) -> str:
    """What the model is, as a table."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in given.items())
    return f"# A question-answering model\n\n| | |\n| --- | --- |\n{rows}"


if __name__ == "__main__":
    main()
