"""Turns a question and a context into windows of token ids. This module knows neither the model nor HTTP.

Offsets are code points of the context as it was sent: `context[start:end]` is the text of a token or a span.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from model_loader.model_io import ModelInput
from serve.errors import InvalidRequest

# The context is tokenized in pieces of about this many characters, cut at a space. So memory stays bounded (the
# tokenizer's own offsets take 100 bytes a token), and a context that is far too long is noticed early.
PIECE_CHARS = 50_000


@dataclass(frozen=True)
class WindowLimits:
    """How windows are cut, in tokens. doc_stride is the overlap of two neighbouring windows."""

    max_seq_len: int
    doc_stride: int
    max_question_len: int


@dataclass(frozen=True, eq=False)
class Document:
    """A tokenized context. All arrays (N,) int32, N tokens; starts and ends in code points, ends exclusive.

    word_starts and word_ends: the bounds of the whole word that each token belongs to.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    word_starts: np.ndarray
    word_ends: np.ndarray


@dataclass(frozen=True, eq=False)
class Window(ModelInput):
    """One slice of a document with the question before it: [CLS] question [SEP] slice [SEP].

    first_token: the slice's first token in the document; in the window the slice begins at context_offset.
    """

    first_token: int

    @property
    def context_tokens(self) -> int:
        """The number of the document's tokens that the window holds."""
        return len(self.input_ids) - self.context_offset - 1


class Featurizer:
    """Tokenizes and cuts windows with the model's own tokenizer. Thread-safe, since it keeps no state between calls."""

    def __init__(self, tokenizer_file: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        pair = self._tokenizer.encode("a", "b")
        if pair.special_tokens_mask != [1, 0, 1, 0, 1] or pair.type_ids != [0, 0, 0, 1, 1]:
            raise ValueError(f"{tokenizer_file} does not write pairs as [CLS] question [SEP] context [SEP]")
        self._cls, _, self._sep, _, _ = pair.ids

    def encode_question(self, question: str, limits: WindowLimits) -> np.ndarray:
        """Return the token ids of a question, (Q,) int32.

        Raises: InvalidRequest if the question has no tokens, or more than the limit.
        """
        ids = self._tokenizer.encode(question, add_special_tokens=False).ids
        if not ids:
            raise InvalidRequest("question: has no words")
        if len(ids) > limits.max_question_len:
            raise InvalidRequest(
                f"question: has {len(ids)} tokens, but max_question_len is {limits.max_question_len}. "
                "Shorten the question, or raise parameters.max_question_len"
            )
        return np.array(ids, dtype=np.int32)

    def encode_context(self, context: str, max_tokens: int | None = None) -> Document:
        """Tokenize a context of any length. Stop soon after max_tokens, so that the caller can refuse the context."""
        pieces = []
        tokens = begin = 0
        while begin < len(context) and (max_tokens is None or tokens <= max_tokens):
            end = _piece_end(context, begin)
            piece = _to_arrays(self._tokenizer.encode(context[begin:end], add_special_tokens=False), begin)
            pieces.append(piece)
            tokens += piece.shape[1]
            begin = end
        table = np.concatenate(pieces, axis=1) if pieces else np.empty((5, 0), dtype=np.int32)
        return Document(*table)

    def windows(self, question_ids: np.ndarray, document: Document, limits: WindowLimits) -> list[Window]:
        """Cut a document into windows of at most max_seq_len tokens. An empty document gives one empty window.

        Raises: InvalidRequest if the question and the overlap leave no room for new tokens in a window.
        """
        capacity = limits.max_seq_len - len(question_ids) - 3
        step = capacity - limits.doc_stride
        if step <= 0:
            raise InvalidRequest(
                f"doc_stride: a window of {limits.max_seq_len} tokens has room for {max(capacity, 0)} context tokens "
                f"beside a question of {len(question_ids)}, so windows cannot overlap by {limits.doc_stride}. Lower "
                "parameters.doc_stride or raise parameters.max_seq_len"
            )
        head = np.concatenate(([self._cls], question_ids, [self._sep])).astype(np.int32)
        tail = np.array([self._sep], dtype=np.int32)
        windows = []
        first = 0
        while True:
            ids = document.ids[first : first + capacity]
            windows.append(Window(np.concatenate((head, ids, tail)), len(head), first))
            if first + capacity >= len(document.ids):
                return windows
            first += step


def _piece_end(context: str, begin: int) -> int:
    """Return the end of the piece that begins at `begin`: after a space or a newline, where no word is cut."""
    target = begin + PIECE_CHARS
    if target >= len(context):
        return len(context)
    # NOTE: BERT's normalizer drops other white space, such as U+001C, which therefore does not end a word.
    cut = max(context.rfind(" ", begin, target), context.rfind("\n", begin, target))
    if cut < begin:
        ends = [at for at in (context.find(" ", target), context.find("\n", target)) if at >= 0]
        cut = min(ends, default=len(context) - 1)
    return cut + 1


def _to_arrays(encoding: Encoding, begin: int) -> np.ndarray:
    """Return one piece's tokens as the rows ids, starts, ends, word_starts and word_ends, (5, N) int32."""
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2) + begin
    words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int32)
    starts, ends = offsets[:, 0], offsets[:, 1]
    is_first = np.ones(len(words), dtype=bool)
    is_first[1:] = words[1:] != words[:-1]
    word_of_token = np.cumsum(is_first) - 1
    word_starts = starts[is_first][word_of_token]
    is_last = np.roll(is_first, -1)  # a word ends before the next one begins; the last token ends the last word
    word_ends = ends[is_last][word_of_token]
    return np.stack((np.array(encoding.ids, dtype=np.int32), starts, ends, word_starts, word_ends))
