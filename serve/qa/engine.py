"""The data path: one request's questions become answers. Start reading here.

encode -> admit -> run -> rank: text becomes windows, the windows are admitted, lanes run them, and spans are ranked.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from container.precision import Precision
from serve.errors import DeadlineExceeded, InvalidRequest
from serve.lanes.admission import Admission, Permit
from serve.lanes.fair_queue import Job
from serve.qa import spans
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from serve.qa.guard import Answered, Guard
from serve.qa.spans import Logits, SpanRules
from serve.qa.types import AnsweredQuestion, Parameters, Question
from serve.qa.window_runner import WindowRunner, logits_of

T = TypeVar("T")
TEXT_THREADS = 4  # they tokenize and rank long texts beside the event loop
INLINE_CHARS = 8_192  # a text this short takes less than 1 ms, and passing work to a thread takes 0.4 ms more


@dataclass(frozen=True)
class ModelLimits:
    """The longest window that the model reads, and the artifact's overlap of two windows, in tokens."""

    max_seq_len: int
    doc_stride: int


@dataclass
class Trace:
    """What happened to one HTTP request, for its log line and the metrics. Stage times in seconds."""

    windows: int = 0
    tokens: int = 0
    rungs: list[int] = field(default_factory=list)
    precisions: set[Precision] = field(default_factory=set)
    stages: dict[str, float] = field(default_factory=dict)

    def took(self, stage: str, since: float) -> None:
        """Add the seconds since `since` to a stage."""
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - since


@dataclass(frozen=True)
class Encoded:
    """A question whose text has become windows."""

    question: Question
    precision: Precision
    rules: SpanRules
    document: Document
    windows: list[Window]


class QAEngine:
    """Answers questions. There is one for each model; all of it runs on the event loop, except work on long texts."""

    def __init__(
        self,
        featurizer: Featurizer,
        lanes: WindowRunner,
        admission: Admission,
        limits: ModelLimits,
        guard: Guard | None = None,
    ) -> None:
        self.admission = admission
        self._featurizer = featurizer
        self._lanes = lanes
        self._limits = limits
        self._guard = guard
        self._threads = ThreadPoolExecutor(TEXT_THREADS, thread_name_prefix="text")

    async def answer(self, questions: Sequence[Question], permit: Permit, trace: Trace) -> list[AnsweredQuestion]:
        """Answer the questions of one request, or of one line of a stream.

        Raises: RequestError.
        """
        jobs: list[list[Job]] = []
        try:
            async with asyncio.timeout_at(permit.deadline):
                encoded = [await self._encode(question, trace) for question in questions]
                self._admit(encoded, permit)
                jobs = [self._lanes.submit(permit.ticket, each.precision, each.windows) for each in encoded]
                logits = [await self._run(of_question, trace) for of_question in jobs]
                return [await self._rank(each, its, trace) for each, its in zip(encoded, logits, strict=True)]
        except TimeoutError:
            timeout_seconds = self.admission.limits.timeout_seconds
            raise DeadlineExceeded(
                f"the answer was not ready within {timeout_seconds:g} s; the request is cancelled"
            ) from None
        finally:
            self._lanes.drop(permit.ticket, {job for of_question in jobs for job in of_question})

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False)

    async def _encode(self, question: Question, trace: Trace) -> Encoded:
        precision = question.precision or self._lanes.precisions.preferred
        await self._lanes.precisions.until_served(precision)
        start = time.perf_counter()
        parameters = question.parameters
        rules = SpanRules(
            parameters.top_k,
            parameters.max_answer_len,
            parameters.handle_impossible_answer,
            parameters.align_to_words,
        )
        document, windows = await self._text_work(question, self._cut, question, self._window_limits(parameters))
        trace.precisions.add(precision)
        trace.windows += len(windows)
        trace.tokens += sum(len(window.input_ids) for window in windows)
        trace.took("tokenize", start)
        return Encoded(question, precision, rules, document, windows)

    def _cut(self, question: Question, limits: WindowLimits) -> tuple[Document, list[Window]]:
        """Tokenize the texts and cut windows."""
        question_ids = self._featurizer.encode_question(question.text, limits)
        max_tokens = self.admission.max_tokens(limits.max_seq_len)
        document = self._featurizer.encode_context(question.context, max_tokens)
        self.admission.check_tokens(len(document.ids), limits.max_seq_len)
        return document, self._featurizer.windows(question_ids, document, limits)

    def _window_limits(self, parameters: Parameters) -> WindowLimits:
        longest = self._limits.max_seq_len
        max_seq_len = parameters.max_seq_len or longest
        if max_seq_len > longest:
            raise InvalidRequest(f"parameters.max_seq_len: this model reads windows of at most {longest} tokens")
        doc_stride = parameters.doc_stride
        if doc_stride is None:  # the default fits shorter windows too, as in Hugging Face's pipeline
            doc_stride = min(self._limits.doc_stride, max_seq_len // 2)
        return WindowLimits(max_seq_len, doc_stride, parameters.max_question_len)

    def _admit(self, encoded: Sequence[Encoded], permit: Permit) -> None:
        windows = sum(len(each.windows) for each in encoded)
        cost_ms = sum(self._lanes.cost_ms(each.precision, each.windows) for each in encoded)
        self.admission.approve(permit, windows, cost_ms)

    async def _run(self, jobs: Sequence[Job], trace: Trace) -> list[Logits]:
        """Wait for all windows of one question."""
        logits = await logits_of(jobs)
        first_start = min(job.started_at for job in jobs)
        trace.stages["queue"] = max(trace.stages.get("queue", 0.0), first_start - jobs[0].submitted_at)
        trace.took("inference", first_start)
        trace.rungs += [job.rung for job in jobs]
        return logits

    async def _rank(self, each: Encoded, logits: list[Logits], trace: Trace) -> AnsweredQuestion:
        start = time.perf_counter()
        context = each.question.context
        answers = await self._text_work(
            each.question, spans.rank, context, each.document, each.windows, logits, each.rules
        )
        trace.took("rank", start)
        if self._guard and each.precision == "INT8":
            self._guard.offer(Answered(context, each.document, each.windows, each.rules, logits, answers[0]))
        return AnsweredQuestion(each.question, each.precision, answers)

    async def _text_work(self, question: Question, work: Callable[..., T], *arguments: object) -> T:
        """Do work on a question's text: at once if the text is short, otherwise in a thread."""
        if len(question.context) <= INLINE_CHARS:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(work, *arguments))
