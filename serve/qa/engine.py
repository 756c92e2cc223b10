"""The data path: one request's questions become answers. Start reading here.

encode -> admit -> run -> rank: text becomes windows, the windows are admitted, lanes run them, and spans are ranked.
QuestionAnswerer has these steps. It runs in the HTTP process, or for a large body in a process of its own
(serve/text_worker). QAEngine is its place in the HTTP process.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from container.precision import Precision
from serve.errors import DocumentTooLong, InvalidRequest
from serve.lanes.admission import Admission, Permit
from serve.qa.document import Document, PackedTokens, Tokens
from serve.qa.features import Featurizer, Window, WindowLimits, WindowPlan
from serve.qa.guard import MAX_WINDOWS, Answered
from serve.qa.highlight.highlights import cut_sentences
from serve.qa.model_limits import ModelLimits
from serve.qa.ranking.answer_room import AnswerRoom
from serve.qa.ranking.calibration import Calibration
from serve.qa.ranking.passages import PassagesPlan, encode_passages
from serve.qa.ranking.question_search import QuestionSearch, RelevantSentences, SpansOfQuestion
from serve.qa.request_lanes import Deadline, Demand, LentLanes, PoolLanes, RequestLanes, Trace
from serve.qa.spans import Logits, SpanRules
from serve.qa.tokenizer.cuts import PIECE_CHARS
from serve.qa.types import DEFAULT_PARAMETERS, AnsweredQuestion, Parameters, Question
from serve.qa.window_runner import WindowRunner

GIVE_WAY_SECONDS = 0.005  # after this time, work on text lets the event loop do something else


class Encoded(NamedTuple):
    """A question whose text has been tokenized, with the plan of its windows."""

    question: Question
    precision: Precision
    rules: SpanRules
    document: Document
    plan: WindowPlan | PassagesPlan

    @property
    def parts(self) -> tuple[WindowPlan, ...]:
        """The plan of each passage, or of the only context."""
        return self.plan.parts if isinstance(self.plan, PassagesPlan) else (self.plan,)


class QuestionAnswerer:
    """Turns questions into answers, with lanes that may be in another process."""

    def __init__(
        self, featurizer: Featurizer, limits: ModelLimits, on_answer: Callable[[Answered], None] | None = None
    ) -> None:
        """on_answer: called with each INT8 answer of a few windows."""
        self._featurizer = featurizer
        self._limits = limits
        self._calibration = Calibration.of(limits.temperature, limits.log_odds_shift)
        self._default_rules = self._rules(DEFAULT_PARAMETERS)  # most requests name no parameters
        self._on_answer = on_answer

    async def answer(self, questions: Sequence[Question], lanes: RequestLanes, trace: Trace) -> list[AnsweredQuestion]:
        """Answer the questions of one request, or of one line of a stream.

        Raises: RequestError.
        """
        turn = _Turn()
        encoded: deque[Encoded] = deque()
        tokens = 0
        for question in questions:
            try:
                encoded.append(await self._encode(question, lanes, tokens, trace, turn))
            except InvalidRequest as error:
                raise type(error)(question.place.of(str(error))) from None
            tokens += encoded[-1].plan.tokens
            await turn.give_way()
        await lanes.admit(
            [Demand(each.precision, plan.count, plan.longest, plan.last) for each in encoded for plan in each.parts]
        )
        results = lanes.run(_work(list(encoded)))
        room = AnswerRoom(questions)
        answered = []
        while encoded:  # what a question needed is dropped once it has been answered
            answered.append(await self._rank(encoded.popleft(), results, room, trace, turn))
        return answered

    async def _encode(
        self, question: Question, lanes: RequestLanes, tokens: int, trace: Trace, turn: "_Turn"
    ) -> Encoded:
        """Tokenize the texts and plan windows. tokens: those that the request has already."""
        parameters = question.parameters
        precision = await lanes.resolve(question.precision)
        limits = self._window_limits(parameters)
        max_tokens = await lanes.max_tokens(precision, limits.max_seq_len) - tokens
        start = time.perf_counter()
        question_ids = self._featurizer.encode_question(question.text, limits)
        document, passages = await self._document(question, max_tokens, turn)
        if len(document) > max_tokens:
            raise DocumentTooLong(
                f"{'contexts: have' if passages else 'context: has'} more text than even an idle server could read in "
                f"time. Send at most about {max(1, max_tokens // limits.max_seq_len)} windows of text in one request"
            )
        rules = self._default_rules if parameters is DEFAULT_PARAMETERS else self._rules(parameters)
        plan: WindowPlan | PassagesPlan = self._featurizer.plan(question_ids, document, limits)
        if isinstance(plan, WindowPlan) and passages:
            plan = PassagesPlan.of(plan, passages)
        trace.took("tokenize", start)
        return Encoded(question, precision, rules, document, plan)

    async def _document(self, question: Question, max_tokens: int, turn: "_Turn") -> tuple[Document, list[int]]:
        """Tokenize the context, or the passages; return the number of tokens of each passage, or an empty list.

        A text of several pieces lets the event loop do something else after each of them.
        """
        if question.passage_ends:
            return await encode_passages(self._featurizer, question, max_tokens, turn.give_way)
        context = question.context
        if len(context) <= PIECE_CHARS and context.isascii():
            return self._featurizer.encode_context(context, max_tokens), []
        pieces: list[Tokens | PackedTokens] = []
        for piece in self._featurizer.pieces(context, max_tokens):
            pieces.append(piece)
            await turn.give_way()
        if len(pieces) == 1:
            pieces = [pieces[0].unpack()]
        return Document(pieces, has_blanks=self._featurizer.has_blanks), []

    def _rules(self, parameters: Parameters) -> SpanRules:
        threshold = parameters.no_answer_threshold
        return SpanRules(
            parameters.top_k,
            parameters.max_answer_len,
            parameters.handle_impossible_answer,
            parameters.align_to_words,
            self._limits.no_answer_threshold if threshold is None else threshold,
            parameters.return_logits,
            self._calibration,
        )

    def _window_limits(self, parameters: Parameters) -> WindowLimits:
        longest = self._limits.max_seq_len
        max_seq_len = parameters.max_seq_len or longest
        if max_seq_len > longest:
            raise InvalidRequest(f"parameters.max_seq_len: this model reads windows of at most {longest} tokens")
        doc_stride = parameters.doc_stride
        if doc_stride is None:  # the default fits shorter windows too, as in Hugging Face's pipeline
            doc_stride = min(self._limits.doc_stride, max_seq_len // 2)
        return WindowLimits(max_seq_len, doc_stride, parameters.max_question_len)

    async def _rank(
        self,
        each: Encoded,
        results: AsyncIterator[tuple[Window, Logits]],
        room: AnswerRoom,
        trace: Trace,
        turn: "_Turn",
    ) -> AnsweredQuestion:
        """Find what one question asks for, whose windows come next in the results."""
        question, plan = each.question, each.plan
        search = await self._search(each, turn)
        is_watched = self._on_answer is not None and each.precision == "INT8" and plan.count <= MAX_WINDOWS
        seen: list[tuple[Window, Logits]] = []
        for _ in range(plan.count):
            window, logits = await anext(results)
            start = time.perf_counter()
            search.add(window, logits)
            if is_watched:
                seen.append((window, logits))
            trace.took("rank", start)
            await turn.give_way()
        start = time.perf_counter()
        found = search.found(room)
        trace.took("rank", start)
        if is_watched and self._on_answer is not None:
            windows, pairs = [window for window, _ in seen], [logits for _, logits in seen]
            self._on_answer(Answered(windows, pairs, found.chosen, search.chooser(windows)))
        return AnsweredQuestion(question, each.precision, found.answers, found.highlights)

    async def _search(self, each: Encoded, turn: "_Turn") -> QuestionSearch:
        question, plan = each.question, each.plan
        ends = await cut_sentences(question, turn.give_way)
        if self._limits.task == "token-relevance":
            assert ends is not None, "a token-relevance model was asked for answers"
            return RelevantSentences(question, each.document, ends)
        return SpansOfQuestion(question, each.document, min(plan.capacity, plan.tokens), each.rules, ends)


class QAEngine:
    """Answers questions in the HTTP process. There is one for each model, and all of it runs on the event loop."""

    def __init__(
        self,
        answerer: QuestionAnswerer,
        lanes: WindowRunner,
        admission: Admission,
    ) -> None:
        self.admission = admission
        self._answerer = answerer
        self._lanes = lanes

    async def answer(self, questions: Sequence[Question], permit: Permit, trace: Trace) -> list[AnsweredQuestion]:
        """Answer the questions of one request, or of one line of a stream.

        Raises: RequestError.
        """
        async with self.lanes_for(permit, trace) as lanes:
            return await self._answerer.answer(questions, lanes, trace)

    def lanes_for(self, permit: Permit, trace: Trace) -> LentLanes:
        """Lend the lanes to a request until its deadline, in `async with`. Windows that still wait at the end leave
        the queue.

        Raises: DeadlineExceeded.
        """
        return LentLanes(PoolLanes(self._lanes, self.admission, permit, trace), self.until_deadline(permit))

    def until_deadline(self, permit: Permit) -> Deadline:
        """Cancel what is inside, in `async with`, at the deadline of a request.

        Raises: DeadlineExceeded.
        """
        return Deadline(permit.deadline, self.admission.limits.timeout_seconds)


class _Turn:
    """Lets the event loop do something else when work on text has taken long enough."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def give_way(self) -> None:
        """Go on at once, or after everything else that the event loop has to do now."""
        if time.perf_counter() - self._since > GIVE_WAY_SECONDS:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


def _work(encoded: list[Encoded]) -> Iterator[tuple[Precision, Window]]:
    encoded.reverse()
    while encoded:
        each = encoded.pop()
        for window in each.plan.windows(each.document):
            yield each.precision, window
