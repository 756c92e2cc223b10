"""One model in this process, without a server and without lanes.

`quantize` measures the files that it has just written in this way, and `evaluate` answers questions with it.
"""

from collections.abc import Callable

import numpy as np

from model_loader import ladder
from model_loader.model_file import ModelFile
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from serve.qa.spans import SpanRules, rank
from serve.qa.types import Answer
from tools.squad.examples import Example

RUNG_STEP = 16  # tokens; the finest ladder that a server chooses (RUNG_STEPS in serve/lanes/plan.py)
Logits = tuple[np.ndarray, np.ndarray]  # start and end logits of one window, (T,) float32 each


class Cutter:
    """Cut examples into windows within the limits of one model."""

    def __init__(self, featurizer: Featurizer, limits: WindowLimits) -> None:
        self._featurizer = featurizer
        self.limits = limits

    def cut(self, example: Example) -> tuple[Document, list[Window]]:
        """Return the tokenized context and its windows."""
        document = self._featurizer.encode_context(example.context)
        question_ids = self._featurizer.encode_question(example.question, self.limits)
        return document, self._featurizer.windows(question_ids, document, self.limits)


def best_answer(example: Example, cutter: Cutter, forward: Callable[[Window], Logits], rules: SpanRules) -> Answer:
    """Cut an example into windows, run the model on each, and return the best answer over all windows."""
    document, windows = cutter.cut(example)
    return rank(example.context, document, windows, [forward(window) for window in windows], rules)[0]


class LocalModel:
    """One TorchScript file that answers examples. Each rung is warmed when it is first needed."""

    def __init__(self, file: ModelFile, cutter: Cutter) -> None:
        """Load the file and warm the longest rung.

        Raises: ModelLoadError.
        """
        from model_loader import torchscript  # importing torch takes seconds: the arguments are checked first

        self._cutter = cutter
        self._rungs = ladder.rungs(cutter.limits.max_seq_len, RUNG_STEP)
        self._model = torchscript.load(file)
        self.fused_groups = self._model.warm(self._rungs[-1]).fused_groups

    def forward(self, window: Window) -> Logits:
        """Return the logits of one window, padded to the same rung as in a server."""
        rung = ladder.rung_for(len(window.input_ids), self._rungs)
        assert rung is not None
        if rung not in self._model.warm_rungs:
            self._model.warm(rung)
        return self._model.forward(window.input_ids, window.context_offset, rung)

    def answer(self, example: Example, rules: SpanRules) -> Answer:
        """Return the best answer to one example."""
        return best_answer(example, self._cutter, self.forward, rules)
