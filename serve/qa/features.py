"""Turns a question and a context into windows of token ids. This module knows neither the model nor HTTP.

Offsets are code points of the context as it was sent: `context[start:end]` is the text of a token or a span.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from model_loader.model_io import ModelInput
from serve.errors import InvalidRequest
from serve.qa.document import Document, PackedTokens, Passage, Tokens
from serve.qa.tokenizer.cuts import PIECE_CHARS, NoCuts, cuts_for, piece_end
from serve.qa.tokenizer.pairs import pair_frame
from serve.qa.tokenizer.tokenized_text import encode, text_tokenizer

QUESTION_CHARS = 10_000  # a longer question is refused before it is tokenized


@dataclass(frozen=True)
class WindowLimits:
    """How windows are cut, in tokens. doc_stride is the overlap of two neighbouring windows."""

    max_seq_len: int
    doc_stride: int
    max_question_len: int


@dataclass(frozen=True, eq=False)
class Window(ModelInput):
    """One slice of a document with the question before it, such as [CLS] question [SEP] slice [SEP].

    first_token: the slice's first token in the document; in the window the slice begins at context_offset.
    """

    first_token: int

    @property
    def context_tokens(self) -> int:
        """The number of the document's tokens that the window holds."""
        return len(self.input_ids) - self.context_offset - 1


@dataclass(eq=False, slots=True)
class WindowPlan:
    """How a document will be cut. The windows themselves are built one after the other, when they are needed.

    head, tail: the ids before and after each slice, int32. tokens: those of the document. capacity: the document's
    tokens that fit into one window. step: how many of its tokens a window begins after the one before it.
    """

    head: np.ndarray
    tail: np.ndarray
    tokens: int
    capacity: int
    step: int

    @property
    def count(self) -> int:
        """The number of windows, at least 1."""
        return 1 + max(0, math.ceil((self.tokens - self.capacity) / self.step))

    @property
    def longest(self) -> int:
        """The length of every window but the last, in tokens."""
        return self._length(min(self.capacity, self.tokens))

    @property
    def last(self) -> int:
        """The length of the last window, in tokens."""
        return self._length(self.tokens - (self.count - 1) * self.step)

    def windows(self, document: Document | Passage) -> Iterator[Window]:
        """Build the windows. An empty document gives one empty window."""
        for first in range(0, self.count * self.step, self.step):
            ids = document.ids(first, first + self.capacity)
            yield Window(np.concatenate((self.head, ids, self.tail), dtype=np.int32), len(self.head), first)

    def _length(self, context_tokens: int) -> int:
        return len(self.head) + context_tokens + len(self.tail)


class Featurizer:
    """Tokenizes and cuts windows with the model's own tokenizer. Thread-safe, since it keeps no state between calls."""

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.frame = pair_frame(self._tokenizer)
        self._texts = text_tokenizer(self._tokenizer)
        self._cuts = cuts_for(self._tokenizer, self._texts)

    @property
    def knows_cuts(self) -> bool:
        """Whether long texts can be tokenized in pieces that have the tokens of the whole text."""
        return not isinstance(self._cuts, NoCuts)

    def token_ids(self) -> dict[str, int]:
        """Return the id of every token: of the vocabulary, of the added tokens, and of the tokens that frame a pair."""
        ids: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        for token, used in self.frame.names.items():  # the part that writes pairs has ids of its own
            ids[token] = max(used, ids.get(token, used))
        return ids

    def encode_question(self, question: str, limits: WindowLimits) -> np.ndarray:
        """Return the token ids of a question, (Q,) int32.

        Raises: InvalidRequest if the question has no tokens, or more than the limit, or more than QUESTION_CHARS
        characters.
        """
        if len(question) > QUESTION_CHARS:
            raise InvalidRequest(
                f"question: has {len(question)} characters, and {QUESTION_CHARS} are allowed. Shorten the question"
            )
        ids = encode(self._tokenizer, question).ids
        if not ids:
            raise InvalidRequest("question: has no words")
        if len(ids) > limits.max_question_len:
            raise InvalidRequest(
                f"question: has {len(ids)} tokens, but max_question_len is {limits.max_question_len}. "
                "Shorten the question, or raise parameters.max_question_len"
            )
        return np.array(ids, dtype=np.int32)

    @property
    def has_blanks(self) -> bool:
        """Whether a token can be nothing but white space."""
        return self._texts.has_blanks

    def encode_context(self, context: str, max_tokens: int | None = None) -> Document:
        """Tokenize a context of any length. Stop soon after max_tokens, so that the caller can refuse the context."""
        pieces: list[Tokens | PackedTokens] = list(self.pieces(context, max_tokens))
        if len(pieces) == 1:
            pieces = [pieces[0].unpack()]
        return Document(pieces, has_blanks=self.has_blanks)

    def pieces(self, context: str, max_tokens: int | None = None, place: int = 0) -> Iterator[PackedTokens]:
        """Tokenize a context piece by piece. Stop soon after max_tokens. place: where it begins in a longer text."""
        tokens = begin = 0
        while begin < len(context) and (max_tokens is None or tokens <= max_tokens):
            end = piece_end(context, begin, self._cuts, PIECE_CHARS)
            if (excess := self._texts.excess(context[begin:end])) > 1:
                characters = max(1, (end - begin) // excess)
                end = piece_end(context, begin, self._cuts, characters, characters)
            piece = PackedTokens(place + begin, *self._texts.tokenize(context[begin:end]))
            tokens += len(piece.ids)
            begin = end
            yield piece

    def windows(self, question_ids: np.ndarray, document: Document, limits: WindowLimits) -> list[Window]:
        """Cut a document into windows of at most max_seq_len tokens. An empty document gives one empty window.

        Raises: InvalidRequest if the question and the overlap leave no room for new tokens in a window.
        """
        return list(self.plan(question_ids, document, limits).windows(document))

    def plan(self, question_ids: np.ndarray, document: Document, limits: WindowLimits) -> WindowPlan:
        """Say how `windows` cuts a document, without building any window.

        Raises: InvalidRequest if the question and the overlap leave no room for new tokens in a window.
        """
        frame = self.frame
        capacity = limits.max_seq_len - len(question_ids) - frame.tokens
        step = capacity - limits.doc_stride
        if capacity <= 0:
            raise InvalidRequest(
                f"parameters.max_seq_len: a window of {limits.max_seq_len} tokens has no room for the context beside a "
                f"question of {len(question_ids)} tokens. Raise parameters.max_seq_len, or shorten the question"
            )
        if step <= 0:
            raise InvalidRequest(
                f"parameters.doc_stride: a window of {limits.max_seq_len} tokens has room for {capacity} tokens of the "
                f"context beside a question of {len(question_ids)}, so windows cannot overlap by {limits.doc_stride}. "
                "Lower parameters.doc_stride, or raise parameters.max_seq_len"
            )
        head = np.concatenate((frame.first, question_ids, frame.middle))
        return WindowPlan(head, frame.last, len(document), capacity, step)
