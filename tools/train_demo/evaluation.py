"""Measure a model during its training, and keep the weights with the highest F1."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serve.errors import InvalidRequest
from serve.qa.features import Window
from tools.errors import ToolError
from tools.local_model import Cutter, Logits, best_answers
from tools.progress import show_progress
from tools.squad.accuracy import accuracy
from tools.squad.examples import Example
from tools.squad.rules import rules_for
from tools.train_demo.trainer import Trainer


@dataclass(frozen=True)
class Measured:
    """The accuracy of one set of weights in percent. steps: after which steps they were saved; several: their mean."""

    steps: tuple[int, ...]
    exact_match: float
    f1: float

    def __str__(self) -> str:
        """Return the accuracy and the steps in words."""
        which = f"step {self.steps[0]}" if len(self.steps) == 1 else f"mean of steps {', '.join(map(str, self.steps))}"
        return f"{which}: exact match {self.exact_match:.2f}, F1 {self.f1:.2f}"


class Measurer:
    """Ask held-out questions of a model in FP32."""

    def __init__(self, examples: Sequence[Example], cutter: Cutter) -> None:
        """Cut every question into windows once, so that one that cannot be asked is reported before the training.

        Raises: ToolError.
        """
        if not examples:
            raise ToolError("the evaluation file contains no question")
        for example in examples:
            try:
                if fitted := cutter.fitted(example):
                    cutter.cut(fitted)
            except InvalidRequest as error:
                raise ToolError(f"the evaluation question {example.id} cannot be asked: {error}") from None
        for note in cutter.question_limit.notes():
            print(f"evaluation: {note}")
        self._examples = examples
        self._cutter = cutter
        self._rules = rules_for(examples)

    def measure(self, forward: Callable[[Window], Logits], *steps: int) -> Measured:
        """Return the accuracy of a function from a window to its logits. steps: which weights it runs."""
        answers = []
        with show_progress("measuring", len(self._examples)) as advance:
            for example in self._examples:
                answers.append(best_answers(example, self._cutter, forward, self._rules)[0].answer)
                advance(1, "")
        found = accuracy(self._examples, answers)
        return Measured(steps, found["exact_match"], found["f1"])


class BestWeights:
    """The best and the last measured weights of a run, each set in a file of its own.

    Attributes:
        history: what was measured so far.
    """

    def __init__(self, directory: Path, measure: Callable[..., Measured], average_last: int) -> None:
        """measure: the measure() of a Measurer."""
        self._directory = directory
        self._measure = measure
        self._average_last = average_last
        self.history: list[Measured] = []

    def measure(self, trainer: Trainer, step: int) -> Measured:
        """Measure the present weights, and keep them if they are the best, or among the last that are averaged."""
        measured = self._measure(trainer.logits, step)
        self.history.append(measured)
        trainer.save_weights(self._file(step))
        kept = {self._file(each) for each in (*self.best.steps, *self._last_steps())}
        for file in set(self._directory.glob("step-*.safetensors")) - kept:
            file.unlink()
        return measured

    def load_best(self, trainer: Trainer) -> Measured:
        """Load the best weights: those of one step, or the mean of the last ones if that has a higher F1."""
        if self._average_last > 1 and len(last := self._last_steps()) > 1:
            trainer.load_mean([self._file(step) for step in last])
            self.history.append(self._measure(trainer.logits, *last))
        trainer.load_mean([self._file(step) for step in self.best.steps])
        return self.best

    @property
    def best(self) -> Measured:
        """What has the highest F1 so far; the earliest, if several have."""
        return max(self.history, key=lambda one: one.f1)

    def state(self) -> list[dict[str, Any]]:
        """Return the history in plain types, for restore()."""
        return [asdict(one) for one in self.history]

    def restore(self, state: Sequence[dict[str, Any]]) -> None:
        """Continue with the history of an interrupted run."""
        self.history = [Measured(tuple(one["steps"]), one["exact_match"], one["f1"]) for one in state]

    def _last_steps(self) -> list[int]:
        return [one.steps[0] for one in self.history[-self._average_last :]]

    def _file(self, step: int) -> Path:
        return self._directory / f"step-{step:06}.safetensors"
