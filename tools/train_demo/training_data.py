"""Training data: questions in SQuAD's format as labelled windows, which lie in a file and not in memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model_loader.model_io import ModelInput
from serve.errors import InvalidRequest
from serve.qa.features import Featurizer, Window, WindowLimits
from tools.errors import ToolError
from tools.squad.examples import iterate_squad_file, says_impossible
from tools.squad.question_tally import QuestionTally
from tools.squad.shared_contexts import EvaluationContexts

# Why a question is left out: what follows "because".
NO_ANSWER = "the file has no answer to train on"
WRONG_PLACE = "the answer does not stand at answer_start"
NOT_ASKABLE = "the question has no words, or more than {tokens} tokens"
NO_TOKENS = "the tokenizer finds no token in the answer"


@dataclass(frozen=True)
class TrainingQuestion:
    """A question whose only answer is context[start:end], in code points."""

    id: str
    question: str
    context: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class LabelledWindow(ModelInput):
    """A window with the positions of the answer's first and last token; both are 0 if the answer is not in it."""

    start: int
    end: int


def read_training_questions(path: Path, tally: QuestionTally) -> Iterator[TrainingQuestion]:
    """Read the questions of a file that have an answer in their context. The tally counts the others.

    Raises: ToolError.
    """
    return iterate_squad_file(path, lambda article: _questions(article, tally))


def _questions(article: dict[str, Any], tally: QuestionTally) -> Iterator[TrainingQuestion]:
    for paragraph in article["paragraphs"]:
        context = str(paragraph["context"])
        for qa in paragraph["qas"]:
            tally.questions += 1
            question = str(qa["question"])
            question_id = str(qa.get("id", question))
            answers = [] if says_impossible(qa) else [one for one in qa["answers"][:1] if str(one["text"])]
            if not answers:
                tally.leave_out(question_id, NO_ANSWER)
            for answer in answers:
                start, text = int(answer["answer_start"]), str(answer["text"])
                if start >= 0 and context[start : start + len(text)] == text:
                    yield TrainingQuestion(question_id, question, context, start, start + len(text))
                else:
                    tally.leave_out(question_id, WRONG_PLACE)


def label_windows(
    questions: Iterable[TrainingQuestion], featurizer: Featurizer, limits: WindowLimits, tally: QuestionTally
) -> Iterator[LabelledWindow]:
    """Yield the labelled windows of each question. Questions that are too long are left out, and counted."""
    context, document = "", featurizer.encode_context("")
    for each in questions:
        if each.context != context:  # the questions about a context follow each other
            context, document = each.context, featurizer.encode_context(each.context)
        try:
            windows = featurizer.windows(featurizer.encode_question(each.question, limits), document, limits)
        except InvalidRequest:
            tally.leave_out(each.id, NOT_ASKABLE.format(tokens=limits.max_question_len))
            continue
        tokens = document.whole
        inside = np.flatnonzero((tokens.ends > each.start) & (tokens.starts < each.end))
        if inside.size:
            yield from (_labelled(window, int(inside[0]), int(inside[-1])) for window in windows)
        else:
            tally.leave_out(each.id, NO_TOKENS)


def _labelled(window: Window, first: int, last: int) -> LabelledWindow:
    begin, start, end = window.first_token, 0, 0
    if begin <= first and last < begin + window.context_tokens:
        start, end = first + window.context_offset - begin, last + window.context_offset - begin
    return LabelledWindow(window.input_ids, window.context_offset, start, end)


class WindowFile:
    """Labelled windows in a file. Memory holds 20 bytes for each window; its tokens are read when they are needed.

    Attributes:
        parts: for each source of windows, their positions.
    """

    def __init__(self, path: Path, sources: Iterable[Iterable[LabelledWindow]]) -> None:
        """Write the windows of all sources into a new file, source by source."""
        self.parts: list[range] = []
        lengths, labels = array("i"), array("i")
        with path.open("wb") as file:
            for source in sources:
                first = len(lengths)
                for window in source:
                    file.write(window.input_ids.astype(np.int32).tobytes())
                    lengths.append(len(window.input_ids))
                    labels.extend((window.context_offset, window.start, window.end))
                self.parts.append(range(first, len(lengths)))
        self.lengths = np.array(lengths)  # (N,), in tokens
        self._labels = np.array(labels).reshape(-1, 3)
        self._ends = np.cumsum(self.lengths, dtype=np.int64)
        self._ids = np.memmap(path, np.int32, "r") if lengths else np.empty(0, np.int32)

    def __getitem__(self, position: int) -> LabelledWindow:
        """Read one window."""
        end = int(self._ends[position])
        ids = np.array(self._ids[end - int(self.lengths[position]) : end])
        return LabelledWindow(ids, *self._labels[position].tolist())


def write_windows(
    path: Path,
    files: Sequence[Path],
    featurizer: Featurizer,
    limits: WindowLimits,
    evaluation: EvaluationContexts | None = None,
) -> WindowFile:
    """Write the labelled windows of the questions of each file, and return them with a part for each file.

    Print which questions are left out, and whether a file has contexts of the evaluation.

    Raises: ToolError if a file cannot be read, or has no question to train on.
    """
    evaluation = evaluation or EvaluationContexts("", frozenset())
    windows = WindowFile(path, (_windows_of(file, featurizer, limits, evaluation) for file in files))
    for file, part in zip(files, windows.parts, strict=True):
        if not part:
            raise ToolError(
                f"{file}: there is no question to train on. Each question needs an answer with its `text` and its "
                "`answer_start`: the number of characters of the context before the answer"
            )
    return windows


def _windows_of(
    file: Path, featurizer: Featurizer, limits: WindowLimits, evaluation: EvaluationContexts
) -> Iterator[LabelledWindow]:
    tally, shared = QuestionTally(file.name), set()

    def questions() -> Iterator[TrainingQuestion]:
        for question in read_training_questions(file, tally):
            if question.context in evaluation.contexts:
                shared.add(question.context)
            yield question

    yield from label_windows(questions(), featurizer, limits, tally)
    for note in [*tally.notes(), *evaluation.warnings(shared, file.name)]:
        print(note)
