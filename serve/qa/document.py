"""A tokenized context. That of a long document is packed, so that it needs little more memory than its text."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np

PIECE_CHARS = 2**16  # a piece is shorter


class Tokens(NamedTuple):
    """Neighbouring tokens of a context. All arrays (N,) int32, N tokens; in code points of it, ends exclusive.

    word_starts and word_ends: the bounds of the whole word that each token belongs to.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    word_starts: np.ndarray
    word_ends: np.ndarray

    def unpack(self) -> "Tokens":
        """Return the tokens as they are."""
        return self


class PackedTokens(NamedTuple):
    """Tokens in 9 bytes each. They belong to one piece of the text, which is shorter than 65,536 characters.

    begin: where the piece begins. starts, ends: as in Tokens, counted from there, (N,) uint16. is_first: whether a
    token is the first one of its word, (N,) bool.
    """

    begin: int
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    is_first: np.ndarray

    def unpack(self) -> Tokens:
        """Return the tokens with all their bounds."""
        starts, ends = self.starts + np.int32(self.begin), self.ends + np.int32(self.begin)
        if self.is_first.all():
            return Tokens(self.ids, starts, ends, starts, ends)
        word_of_token = self.is_first.cumsum() - 1
        is_last = np.full(len(self.is_first), True)
        is_last[:-1] = self.is_first[1:]  # a word ends before the next one begins
        return Tokens(self.ids, starts, ends, starts[self.is_first][word_of_token], ends[is_last][word_of_token])


class Document:
    """All tokens of a context, in pieces."""

    __slots__ = ("_ends", "_pieces", "has_blanks")  # a request can have thousands of documents

    def __init__(self, pieces: Sequence[Tokens | PackedTokens], *, has_blanks: bool = False) -> None:
        """has_blanks: whether a token can be nothing but white space."""
        self.has_blanks = has_blanks
        self._pieces = tuple(pieces)
        self._ends = tuple(accumulate(len(piece.ids) for piece in pieces))  # the tokens up to each piece's end

    def __len__(self) -> int:
        """Return the number of tokens."""
        return self._ends[-1] if self._ends else 0

    def ids(self, first: int, end: int) -> np.ndarray:
        """Return the ids of the tokens from `first` to before `end`, or to the last one, (N,) int32."""
        parts = [self._pieces[index].ids[a:b] for index, a, b in self._places(first, end)]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)

    def part(self, first: int, end: int) -> Tokens:
        """Return the tokens from `first` to before `end`, or to the last one."""
        parts = []
        for index, a, b in self._places(first, end):
            piece = self._pieces[index].unpack()
            if b - a == len(piece.ids):
                parts.append(piece)
            else:
                parts.append(Tokens(piece.ids[a:b], *(column[a:b] for column in _bounds(piece))))
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Tokens(*np.empty((5, 0), dtype=np.int32))
        return Tokens(
            *(np.concatenate(columns) for columns in zip(*((p.ids, *_bounds(p)) for p in parts), strict=True))
        )

    @property
    def whole(self) -> Tokens:
        """All tokens. This is for tools and tests: those of a long document need much memory."""
        return self.part(0, len(self))

    def _places(self, first: int, end: int) -> list[tuple[int, int, int]]:
        """Return the pieces that hold these tokens: their indices, and the tokens' bounds in each."""
        end = min(end, len(self))
        places = []
        index = bisect_right(self._ends, first)
        while first < end:
            before = self._ends[index - 1] if index else 0
            stop = min(end, self._ends[index])
            places.append((index, first - before, stop - before))
            first = stop
            index += 1
        return places


@dataclass(frozen=True, eq=False, slots=True)
class Passage:
    """Some neighbouring tokens of a document, as a document of their own."""

    document: Document
    first: int
    tokens: int

    def ids(self, first: int, end: int) -> np.ndarray:
        """Return the ids of the tokens from `first` to before `end`, or to the last one, (N,) int32."""
        return self.document.ids(self.first + first, self.first + min(end, self.tokens))


class DocumentBuilder:
    """Makes a document of pieces of any length. Short ones become few long ones, which need less memory and time."""

    def __init__(self) -> None:
        self._pieces: list[PackedTokens] = []
        self._neighbours: list[PackedTokens] = []

    def add(self, piece: PackedTokens) -> None:
        """Add the next piece of the text."""
        last = piece.begin + int(max(piece.starts.max(initial=0), piece.ends.max(initial=0)))
        if self._neighbours and last - self._neighbours[0].begin >= PIECE_CHARS:
            self._join()
        self._neighbours.append(piece)

    def build(self, *, has_blanks: bool) -> Document:
        """Return the document."""
        self._join()
        return Document(self._pieces, has_blanks=has_blanks)

    def _join(self) -> None:
        """Make one piece of those that have not been joined yet."""
        pieces, self._neighbours = self._neighbours, []
        if len(pieces) > 1:
            begin = pieces[0].begin
            starts, ends = (
                np.concatenate([getattr(piece, name) + np.uint16(piece.begin - begin) for piece in pieces])
                for name in ("starts", "ends")
            )
            ids, is_first = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("ids", "is_first"))
            pieces = [PackedTokens(begin, ids, starts, ends, is_first)]
        self._pieces += pieces


def _bounds(tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return tokens.starts, tokens.ends, tokens.word_starts, tokens.word_ends
