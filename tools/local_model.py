"""A model in this process, without server or lanes: for quantize, which measures what it made, and for evaluate."""

import numpy as np

from model_loader import ladder
from model_loader.model_file import ModelFile
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from serve.qa.spans import SpanRules, rank
from serve.qa.types import Answer
from tools.squad.examples import Example

RUNG_STEP = 16
Logits = tuple[np.ndarray, np.ndarray]  # (T,) float32 each, start and end


class Cutter:
    """Cuts examples into windows, within one model's limits."""

    def __init__(self, featurizer: Featurizer, limits: WindowLimits) -> None:
        self._featurizer = featurizer
        self.limits = limits

    def cut(self, example: Example) -> tuple[Document, list[Window]]:
        """The context's tokens, and the windows over them."""
        document = self._featurizer.encode_context(example.context)
        question_ids = self._featurizer.encode_question(example.question, self.limits)
        return document, self._featurizer.windows(question_ids, document, self.limits)


class LocalModel:
    """One TorchScript file that answers examples; a rung is warmed when it is first needed."""

    def __init__(self, file: ModelFile, cutter: Cutter) -> None:
        """Load the file and warm the longest rung.

        Raises: ModelLoadError.
        """
        from model_loader import torchscript  # torch takes seconds: not before the arguments are checked

        self._cutter = cutter
        self._rungs = ladder.rungs(cutter.limits.max_seq_len, RUNG_STEP)
        self._model = torchscript.load(file)
        self.fused_groups = self._model.warm(self._rungs[-1]).fused_groups

    def forward(self, window: Window) -> Logits:
        """The logits of one window, run on the rung that it would be served on."""
        rung = ladder.rung_for(len(window.input_ids), self._rungs)
        assert rung is not None
        if rung not in self._model.warm_rungs:
            self._model.warm(rung)
        return self._model.forward(window.input_ids, window.context_offset, rung)

    def answer(self, example: Example, rules: SpanRules) -> Answer:
        """The best answer to one example."""
        document, windows = self._cutter.cut(example)
        logits = [self.forward(window) for window in windows]
        return rank(example.context, document, windows, logits, rules)[0]
