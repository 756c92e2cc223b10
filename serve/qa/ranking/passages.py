"""Several passages with one question: one document, of which no window holds tokens of two passages.

So there is one ranking over all passages, and the softmax is over all spans of all of them.
"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from serve.qa.document import Document, DocumentBuilder, Passage
from serve.qa.features import Featurizer, Window, WindowPlan
from serve.qa.types import Answer, Question


@dataclass(frozen=True, eq=False, slots=True)
class PassagesPlan:
    """How passages will be cut; to the data path the same as the WindowPlan of one context.

    parts: the plan of each passage that has tokens. count: the number of windows. tokens: those of all passages.
    capacity: the largest number of their tokens in one window.
    """

    parts: tuple[WindowPlan, ...]
    count: int
    tokens: int
    capacity: int

    @classmethod
    def of(cls, plan: WindowPlan, passages: Sequence[int]) -> "PassagesPlan":
        """Cut each passage as `plan` cuts any document. passages: the number of tokens of each.

        A passage without tokens has no window, unless all are without.
        """
        lengths = [tokens for tokens in passages if tokens] or [0]
        parts = tuple(replace(plan, tokens=tokens) for tokens in lengths)
        return cls(parts, sum(part.count for part in parts), sum(lengths), min(plan.capacity, max(lengths)))

    def windows(self, document: Document) -> Iterator[Window]:
        """Build the windows of one passage after the other. document: all passages joined, in which tokens count."""
        before = 0
        for part in self.parts:
            for window in part.windows(Passage(document, before, part.tokens)):
                yield replace(window, first_token=before + window.first_token)
            before += part.tokens
        assert before == len(document)


async def encode_passages(
    featurizer: Featurizer, question: Question, max_tokens: int, give_way: Callable[[], Awaitable[None]]
) -> tuple[Document, list[int]]:
    """Tokenize each passage of a question; return all tokens, and the number of those of each passage.

    It stops soon after max_tokens. give_way: called after each piece of text.
    """
    builder = DocumentBuilder()
    passages: list[int] = []
    begin = tokens = 0
    for end in question.passage_ends:
        passages.append(0)
        for piece in featurizer.pieces(question.context[begin:end], max_tokens - tokens, begin):
            builder.add(piece)
            passages[-1] += len(piece.ids)
            tokens += len(piece.ids)
            await give_way()
        begin = end
        if tokens > max_tokens:
            break
    return builder.build(has_blanks=featurizer.has_blanks), passages


def in_passages(answers: Sequence[Answer], passage_ends: Sequence[int]) -> list[Answer]:
    """Return answers with the index of their passage, and with their place in it.

    passage_ends: as in serve.qa.types.Question. The empty answer belongs to no passage, and has the index 0.
    """
    found = []
    for answer in answers:
        index = bisect_right(passage_ends, answer.start)
        begin = passage_ends[index - 1] if index else 0
        details = {**(answer.details or {}), "context_index": index}
        found.append(replace(answer, start=answer.start - begin, end=answer.end - begin, details=details))
    return found
