"""A training run: write the windows of the questions, run the steps, save the checkpoint, and measure it."""

import json
import shutil
import time
from dataclasses import asdict
from pathlib import Path

from model_loader.signing.file_hash import sha256_of
from tools.checkpoint.checkpoint import checkpoint_forward, open_checkpoint
from tools.errors import ToolError
from tools.local_model import Cutter
from tools.progress import show_progress
from tools.squad.examples import read_examples
from tools.squad.question_tally import counted
from tools.squad.shared_contexts import EvaluationContexts
from tools.train_demo.arguments import Options
from tools.train_demo.evaluation import BestWeights, Measurer
from tools.train_demo.model_card import write_card
from tools.train_demo.schedule import all_batches
from tools.train_demo.settings import files_of
from tools.train_demo.trainer import Trainer
from tools.train_demo.training_data import write_windows

WORK = (
    "training"  # a directory in the output directory; it holds what an interrupted run needs, until the run is complete
)
STATE = "state.pt"


def train(options: Options) -> None:
    """Train, or continue an interrupted run, and write the checkpoint and its model card.

    Raises: ToolError.
    """
    key = _key(options)
    _check_output(options)
    run = TrainingRun(options)
    try:
        run.run_steps(key)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue after the last step that was saved")
        raise
    run.finish()


def _key(options: Options) -> str:
    """Return what identifies a run: the encoder, the settings and the contents of the files.

    Raises: ToolError if a file cannot be read.
    """
    files = [*files_of(options.settings.phases), options.evaluation]
    try:
        hashes = {str(file): sha256_of(file) for file in files}
    except OSError as error:
        raise ToolError(f"cannot read {error.filename}: {error.strerror}") from None
    return json.dumps({"encoder": options.encoder, "files": hashes, "settings": asdict(options.settings)}, default=str)


def _check_output(options: Options) -> None:
    """Refuse to replace a checkpoint that another run has written.

    Raises: ToolError.
    """
    if (options.output / "config.json").exists() and not (options.output / WORK).exists():
        raise ToolError(f"{options.output} holds a checkpoint already. Name another --output, or remove the directory")


class TrainingRun:
    """One run of training, new or continued."""

    def __init__(self, options: Options) -> None:
        """Load the encoder, and write the windows of all questions.

        Raises: ToolError.
        """
        self._options = options
        self._settings = settings = options.settings
        examples = read_examples(str(options.evaluation))
        checkpoint = open_checkpoint(options.encoder, allow_pickle=settings.allow_pickle, needs_span_head=False)
        self._trainer = Trainer(checkpoint, settings.seed, settings.weight_decay)
        self._work = options.output / WORK
        self._work.mkdir(parents=True, exist_ok=True)
        featurizer = checkpoint.save_tokenizer(options.output)
        seen = EvaluationContexts.of(options.evaluation.name, examples)
        files = files_of(settings.phases)
        self._windows = write_windows(self._work / "windows", files, featurizer, settings.limits, seen)
        self._batches = all_batches(self._windows, settings)
        print(f"{counted(len(self._windows.lengths), 'window')}, {counted(len(self._batches), 'step')}")
        self._measurer = Measurer(examples, Cutter(featurizer, settings.limits))
        self._best = BestWeights(self._work, self._measurer.measure, settings.average_last)

    def run_steps(self, key: str) -> None:
        """Run the steps that an interrupted run with the same key has not done yet.

        Raises: ToolError.
        """
        state, steps = self._work / STATE, len(self._batches)
        done = self._continue(state, key) if state.is_file() else 0
        with show_progress("training", steps, done) as advance:
            for step in range(done, steps):
                advance(1, self._step(step))
                done, is_last = step + 1, step + 1 == steps
                if self._settings.evaluate_every and (done % self._settings.evaluate_every == 0 or is_last):
                    print(self._best.measure(self._trainer, done))
                if done % self._options.save_every == 0 or is_last:
                    self._trainer.save_state(state, {"key": key, "done": done, "measured": self._best.state()})

    def _continue(self, state: Path, key: str) -> int:
        """Restore the state of an interrupted run, and return the number of its steps."""
        progress = self._trainer.restore_state(state)
        if progress["key"] != key:
            raise ToolError(
                f"{self._work} holds an interrupted run of another command, or its files have changed since. "
                "Name another --output, or remove that directory to start again"
            )
        self._best.restore(progress["measured"])
        print(f"continues after step {progress['done']:,}, which an earlier run has saved")
        return int(progress["done"])

    def _step(self, step: int) -> str:
        """Run one step, and return what to show of it."""
        begun = time.monotonic()
        batch = [self._windows[position] for position in self._batches[step]]
        rate = self._settings.rate(step, len(self._batches))
        loss = self._trainer.step(batch, step, rate, self._settings.gradient_norm)
        tokens = sum(len(each.input_ids) for each in batch) / (time.monotonic() - begun)
        return f"loss {loss:.2f}, {tokens:,.0f} tokens/s"

    def finish(self) -> None:
        """Write the checkpoint, measure it, write its card, and remove what only an interrupted run needs."""
        output, steps = self._options.output, len(self._batches)
        if self._settings.evaluate_every:
            print(f"keeps {self._best.load_best(self._trainer)}")
        self._trainer.save(output)
        measured = self._measurer.measure(checkpoint_forward(open_checkpoint(str(output))), steps)
        write_card(self._options, steps, len(self._windows.lengths), self._best.history, measured)
        scores = f"exact match {measured.exact_match:.2f}, F1 {measured.f1:.2f}"
        print(f"wrote {output}: {scores} on {self._options.evaluation.name}")
        shutil.rmtree(self._work)
