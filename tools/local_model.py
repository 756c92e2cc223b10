"""One model in this process, without a server and without lanes.

`quantize` measures the files that it has just written in this way, and `evaluate` answers questions with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from model_loader import ladder
from model_loader.model_file import ModelFile
from serve.errors import InvalidRequest
from serve.qa.document import Document
from serve.qa.features import QUESTION_CHARS, Featurizer, Window, WindowLimits
from serve.qa.ranking.calibration import Calibration
from serve.qa.spans import SpanRules, rank
from serve.qa.types import Answer
from tools.squad.examples import Example
from tools.squad.question_limit import QuestionLimit

RUNG_STEP = 16  # tokens; the finest ladder that a server chooses (RUNG_STEPS in serve/lanes/plan.py)
Logits = tuple[np.ndarray, np.ndarray]  # start and end logits of one window, (T,) float32 each


class Cutter:
    """Cut examples into windows within the limits of one model.

    question_limit notes the questions that `fitted` had to change.
    """

    def __init__(self, featurizer: Featurizer, limits: WindowLimits) -> None:
        self._featurizer = featurizer
        self.limits = limits
        self.question_limit = QuestionLimit(limits.max_question_len)

    def can_ask(self, example: Example) -> bool:
        """Return whether the question can be asked as it is."""
        try:
            self._featurizer.encode_question(example.question, self.limits)
        except InvalidRequest:
            return False
        return True

    def fitted(self, example: Example) -> Example | None:
        """Return the example with a question that can be asked: cut if it is too long; None if it has no words."""
        if self.can_ask(example):
            return example
        question = example.question.strip()[:QUESTION_CHARS]
        ends = self._featurizer.encode_context(question).whole.ends
        if not len(ends):
            self.question_limit.blank.add(example.id)
            return None
        self.question_limit.cut.add(example.id)
        fitted = example
        # Where several tokens are one character, the tokens of the shorter text can be too many again.
        for kept in range(self.limits.max_question_len, 0, -1):
            fitted = replace(example, question=question[: ends[:kept][-1]])
            if self.can_ask(fitted):
                break
        return fitted

    def cut(self, example: Example) -> tuple[Document, list[Window]]:
        """Return the tokenized context and its windows.

        Raises: InvalidRequest if the question is too long, or has no words.
        """
        document = self._featurizer.encode_context(example.context)
        question_ids = self._featurizer.encode_question(example.question, self.limits)
        return document, self._featurizer.windows(question_ids, document, self.limits)


def best_answers(
    example: Example, cutter: Cutter, forward: Callable[[Window], Logits], rules: SpanRules
) -> list[Answer]:
    """Cut an example into windows, run the model on each, and return the best answers over all windows.

    A question that is too long is cut. One without words gets the empty answer.
    """
    fitted = cutter.fitted(example)
    if fitted is None:
        return [Answer(answer="", score=0.0, start=0, end=0)]
    document, windows = cutter.cut(fitted)
    return rank(example.context, document, windows, [forward(window) for window in windows], rules)


class LocalModel:
    """One model file that answers examples. Each rung is warmed when it is first needed."""

    def __init__(self, file: ModelFile, cutter: Cutter) -> None:
        """Load the file and warm the longest rung.

        Raises: ModelLoadError.
        """
        from model_loader.engines.load import load  # importing torch takes seconds: the arguments are checked first

        self._cutter = cutter
        self._rungs = ladder.rungs(cutter.limits.max_seq_len, RUNG_STEP)
        self._model = load(file)
        self.fused_groups = self._model.warm(self._rungs[-1]).fused_groups

    def forward(self, window: Window) -> Logits:
        """Return the logits of one window, padded to the same rung as in a server."""
        rung = ladder.rung_for(len(window.input_ids), self._rungs)
        assert rung is not None
        if rung not in self._model.warm_rungs:
            self._model.warm(rung)
        return self._model.forward(window.input_ids, window.context_offset, rung)

    def answers(self, example: Example, rules: SpanRules) -> list[Answer]:
        """Return the best answers to one example, the best one first."""
        return best_answers(example, self._cutter, self.forward, rules)

    def best_candidate(
        self, example: Example, rules: SpanRules, temperatures: Sequence[float]
    ) -> tuple[str, list[float]]:
        """Return the text of the best candidate, and its score at each temperature."""
        fitted = self._cutter.fitted(example)
        if fitted is None:
            return "", [0.0] * len(temperatures)
        document, windows = self._cutter.cut(fitted)
        logits = [self.forward(window) for window in windows]
        at_each = [
            rank(example.context, document, windows, logits, replace(rules, calibration=Calibration(temperature)))[0]
            for temperature in temperatures
        ]
        return at_each[0].answer, [answer.score for answer in at_each]

    def answer(self, example: Example, rules: SpanRules) -> Answer:
        """Return the best answer to one example."""
        return self.answers(example, rules)[0]
