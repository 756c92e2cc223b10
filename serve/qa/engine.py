"""The data path: one request's items become answers. Start reading here.

encode -> admit -> run -> rank: text to windows, a price and a place in the queue, logits, spans.
"""

import asyncio
import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from container.precision import Precision
from serve.errors import DeadlineExceeded, DocumentTooLong, InvalidRequest, Overloaded
from serve.lanes.fair_queue import Job, Ticket
from serve.lanes.pool import LanePool
from serve.qa import spans
from serve.qa.features import Document, Featurizer, Window, WindowLimits
from serve.qa.guard import Answered, Guard
from serve.qa.spans import Logits, SpanRules
from serve.qa.types import Answer, AnsweredQuestion, Parameters, Question

T = TypeVar("T")
TEXT_THREADS = 4  # long texts are tokenized and ranked beside the event loop; the tokenizer releases the GIL
INLINE_CHARS = 8_192  # a text this short takes under 1 ms, and the way to a thread and back 0.4 ms
WINDOWS_PER_SECOND_GUESS = 1000  # before a document is tokenized whole: no CPU core runs more windows than this


@dataclass(frozen=True)
class EngineLimits:
    """What the artifact and the settings allow."""

    max_seq_len: int
    doc_stride: int
    timeout_seconds: float
    max_queue_seconds: float


@dataclass
class Trace:
    """What happened to one HTTP request, for its log line and the metrics. Stage times in seconds."""

    windows: int = 0
    tokens: int = 0
    rungs: list[int] = field(default_factory=list)
    precisions: set[Precision] = field(default_factory=set)
    stages: dict[str, float] = field(default_factory=dict)

    def took(self, stage: str, since: float) -> None:
        """Add the time since a moment to a stage."""
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - since


@dataclass(frozen=True)
class Encoded:
    """A question on its way."""

    question: Question
    precision: Precision
    rules: SpanRules
    document: Document
    windows: list[Window]


class QAEngine:
    """Answers questions. One for each server; everything runs on the event loop but the text work."""

    def __init__(
        self, featurizer: Featurizer, pool: LanePool, limits: EngineLimits, guard: Guard | None = None
    ) -> None:
        self._featurizer = featurizer
        self._pool = pool
        self._limits = limits
        self._guard = guard
        self._threads = ThreadPoolExecutor(TEXT_THREADS, thread_name_prefix="text")

    async def answer(
        self, questions: Sequence[Question], ticket: Ticket, trace: Trace, *, is_admitted: bool = False
    ) -> list[AnsweredQuestion]:
        """Answer the questions of one request; is_admitted skips the refusal, for later lines of an admitted request.

        Raises: RequestError.
        """
        jobs: list[list[Job]] = []
        try:
            async with asyncio.timeout_at(ticket.deadline):
                if not is_admitted:
                    self.check_queue()  # refuse before the text costs anything
                encoded = [await self._encode(question, trace) for question in questions]
                if not is_admitted:
                    self._admit(encoded)
                jobs = [self._pool.submit(ticket, each.precision, each.windows) for each in encoded]
                logits = [await self._logits(of_item, trace) for of_item in jobs]
                return [await self._rank(each, of_item, trace) for each, of_item in zip(encoded, logits, strict=True)]
        except TimeoutError:
            raise DeadlineExceeded(
                f"the answer was not there within {self._limits.timeout_seconds:g} s; it is given up"
            ) from None
        finally:
            self._pool.drop(ticket, {job for of_item in jobs for job in of_item})

    def check_queue(self) -> None:
        """Refuse a request whose work is not known yet, if the queue is too long.

        Raises: Overloaded.
        """
        self._admit([])

    def new_ticket(self) -> Ticket:
        """A place in the ring for one HTTP request; its time limit runs from now."""
        return Ticket(deadline=asyncio.get_running_loop().time() + self._limits.timeout_seconds)

    def close(self) -> None:
        """Give the threads back."""
        self._threads.shutdown(wait=False)

    async def _encode(self, question: Question, trace: Trace) -> Encoded:
        precision = question.precision or self._pool.precisions.preferred
        await self._pool.precisions.until_served(precision)
        start = time.perf_counter()
        parameters = question.parameters
        limits = self._window_limits(parameters)
        rules = SpanRules(
            parameters.top_k,
            parameters.max_answer_len,
            parameters.handle_impossible_answer,
            parameters.align_to_words,
        )
        document, windows = await self._text_work(question, self._cut, question, limits)
        trace.precisions.add(precision)
        trace.windows += len(windows)
        trace.tokens += sum(len(window.input_ids) for window in windows)
        trace.took("tokenize", start)
        return Encoded(question, precision, rules, document, windows)

    def _cut(self, question: Question, limits: WindowLimits) -> tuple[Document, list[Window]]:
        """Tokenize and cut; a document that no machine could run in time is not even tokenized to its end."""
        most_tokens = int(self._limits.timeout_seconds * WINDOWS_PER_SECOND_GUESS * limits.max_seq_len)
        question_ids = self._featurizer.encode_question(question.text, limits)
        document = self._featurizer.encode_context(question.context, most_tokens)
        if len(document.ids) > most_tokens:
            raise DocumentTooLong(f"context: has more than {most_tokens} tokens, too many to answer in time")
        return document, self._featurizer.windows(question_ids, document, limits)

    def _window_limits(self, parameters: Parameters) -> WindowLimits:
        longest = self._limits.max_seq_len
        max_seq_len = parameters.max_seq_len or longest
        if max_seq_len > longest:
            raise InvalidRequest(f"parameters.max_seq_len: this model reads windows of at most {longest} tokens")
        doc_stride = self._limits.doc_stride if parameters.doc_stride is None else parameters.doc_stride
        if parameters.doc_stride is None:  # a default that fits shorter windows too, as Hugging Face's does
            doc_stride = min(doc_stride, max_seq_len // 2)
        return WindowLimits(max_seq_len, doc_stride, parameters.max_question_len)

    def _admit(self, encoded: Sequence[Encoded]) -> None:
        """Accept the request or refuse it, by what its windows cost and what waits already.

        Raises: DocumentTooLong, Overloaded.
        """
        windows = max(1, sum(len(each.windows) for each in encoded))
        alone_ms = self._pool.alone_ms(
            sum(self._pool.price_ms(each.precision, each.windows) for each in encoded), windows
        )
        timeout_ms = self._limits.timeout_seconds * 1000
        if alone_ms > timeout_ms:
            raise DocumentTooLong(
                f"context: its {windows} windows take some {alone_ms / 1000:.0f} s even on an idle server, "
                f"{self._limits.timeout_seconds:g} s is the limit: send at most about "
                f"{int(windows * timeout_ms / alone_ms)} windows of text a request"
            )
        wait_ms = self._pool.wait_ms(windows)
        total_ms = wait_ms + alone_ms * self._pool.slowdown(windows)
        too_much_ms = max(wait_ms - self._limits.max_queue_seconds * 1000, total_ms - timeout_ms)
        if too_much_ms > 0:
            raise Overloaded(
                f"the queue is {wait_ms / 1000:.1f} s long, and {windows} windows would take {total_ms / 1000:.1f} s "
                "with it; try again later",
                retry_after_seconds=math.ceil(too_much_ms / 1000),
            )

    async def _logits(self, jobs: Sequence[Job], trace: Trace) -> list[Logits]:
        """Wait for all windows of one item."""
        results = await asyncio.gather(*(job.result for job in jobs))
        first_start = min(job.started_at for job in jobs)
        trace.stages["queue"] = max(trace.stages.get("queue", 0.0), first_start - jobs[0].submitted_at)
        trace.took("inference", first_start)
        trace.rungs += [job.rung for job in jobs]
        return [(result.start, result.end) for result in results]

    async def _rank(self, each: Encoded, logits: list[Logits], trace: Trace) -> AnsweredQuestion:
        start = time.perf_counter()
        answers: list[Answer] = await self._text_work(
            each.question, spans.rank, each.question.context, each.document, each.windows, logits, each.rules
        )
        trace.took("rank", start)
        if self._guard and each.precision == "INT8":
            self._guard.offer(
                Answered(each.question.context, each.document, each.windows, each.rules, logits, answers[0])
            )
        return AnsweredQuestion(each.question, each.precision, answers)

    async def _text_work(self, question: Question, work: Callable[..., T], *arguments: object) -> T:
        """Run work on a question's text: at once where it is short, else in a thread."""
        if len(question.context) <= INLINE_CHARS:
            return work(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(work, *arguments))
