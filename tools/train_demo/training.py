"""A training run: make batches of the questions, train, save the checkpoint, measure it, and write its model card."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from serve.qa.features import Featurizer
from tools.checkpoint import checkpoint_forward, open_checkpoint
from tools.errors import ToolError
from tools.local_model import Cutter, best_answer
from tools.squad.accuracy import accuracy
from tools.squad.examples import read_examples
from tools.squad.rules import EVALUATION_RULES
from tools.train_demo.model_card import add_accuracy, write_card
from tools.train_demo.settings import TrainingSettings
from tools.train_demo.trainer import Trainer
from tools.train_demo.training_data import (
    LabelledWindow,
    label_windows,
    make_batches,
    make_cloze_questions,
    read_training_questions,
)

STATE_FILE = "training.pt"  # in the output directory, until the run is complete
Batch = Sequence[LabelledWindow]


def train(encoder: str, files: Sequence[Path], evaluation: Path, output: Path, settings: TrainingSettings) -> None:
    """Train on the questions of the files, or continue an interrupted run, and write checkpoint and model card.

    Raises: ToolError.
    """
    questions = [question for file in files for question in read_training_questions(file)]
    if not questions:
        raise ToolError("the training files contain no question with an answer in its context")
    output.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(encoder, output, settings.seed, settings.weight_decay)
    featurizer = Featurizer(output / "tokenizer.json")
    cloze = make_cloze_questions([q.context for q in questions], settings.cloze_per_context, settings.seed)
    batches = _all_batches(
        label_windows(cloze, featurizer, settings.limits),
        label_windows(questions, featurizer, settings.limits),
        settings,
    )
    key = {"encoder": encoder, "files": [file.read_text() for file in files], "settings": asdict(settings)}
    _run_steps(trainer, batches, output / STATE_FILE, json.dumps(key), settings)
    trainer.save(output)
    card = {
        "started from": encoder,
        "trained on": f"{', '.join(file.name for file in files)}: {len(questions)} questions, {settings.epochs} times",
        "before that": f"{len(cloze)} cloze questions of the same contexts, once",
        "how": f"{len(batches)} steps of at most {settings.tokens_per_step} tokens, bfloat16 autocast, AdamW, "
        f"peak rate {settings.peak_rate:g}, {settings.warmup_steps} steps of warm-up, linear decay, "
        f"seed {settings.seed}",
    }
    write_card(output, card)
    _measure(output, evaluation, Cutter(featurizer, settings.limits))
    (output / STATE_FILE).unlink(missing_ok=True)


def _all_batches(cloze: Batch, questions: Batch, settings: TrainingSettings) -> list[list[LabelledWindow]]:
    """Return the batches of the whole run: the cloze questions once, then the others in each epoch."""
    batches = make_batches(cloze, settings.tokens_per_step, settings.seed) if cloze else []
    for epoch in range(settings.epochs):
        batches += make_batches(questions, settings.tokens_per_step, settings.seed + 1 + epoch)
    return batches


def _run_steps(trainer: Trainer, batches: Sequence[Batch], state: Path, key: str, settings: TrainingSettings) -> None:
    """Run the steps that an interrupted run with the same key has not done yet."""
    done = trainer.restore_state(state, key)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("training", total=len(batches), completed=done)
        for step in range(done, len(batches)):
            rate = settings.rate(step, len(batches))
            loss = trainer.step(batches[step], step, rate, settings.gradient_norm)
            progress.update(bar, advance=1, description=f"training, loss {loss:.2f}")
            if (step + 1) % settings.save_every == 0:
                trainer.save_state(state, key, step + 1)


def _measure(output: Path, evaluation: Path, cutter: Cutter) -> None:
    """Measure exact match and F1 of the saved checkpoint; print them, and add them to its card."""
    examples = read_examples(str(evaluation))
    forward = checkpoint_forward(open_checkpoint(str(output)))
    with Progress() as progress:
        tracked = progress.track(examples, description="measuring")
        answers = [best_answer(example, cutter, forward, EVALUATION_RULES).answer for example in tracked]
    found = accuracy(examples, answers)
    line = f"{evaluation.name}, {len(examples)} questions, FP32: "
    line += f"exact match {found['exact_match']:.2f}, F1 {found['f1']:.2f}"
    add_accuracy(output, line)
    print(line)
