"""The tokens of a text, and where they and the words that they belong to begin and end.

BERT's tokens hold no white space, and its pre-tokenizer's words are those that answers are widened to. The tokens of
byte-level BPE and SentencePiece hold the space before a word, and their words the punctuation after it.
"""

import math
import unicodedata
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from tokenizers import Encoding, Tokenizer
from tokenizers.normalizers import Normalizer

from serve.qa.tokenizer.characters import begins_grapheme, is_word_of_its_own
from serve.qa.tokenizer.settings import parts_of, settings_of

# The white space that the library's Strip normalizer removes, that of Unicode.
STRIPPED = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
NORMALIZED_BYTES = 32_768  # of one piece; 8,192 characters of Chinese have 24,576
METASPACE = "\u2581"
SPACES = {"Metaspace": METASPACE, "ByteLevel": "\u0120"}  # how SentencePiece and byte-level BPE write a space


class TokenizedText(NamedTuple):
    """The N tokens of a text of fewer than 65,536 characters. Bounds are in code points of it, ends exclusive.

    ids: (N,) int32. starts, ends: (N,) uint16; white space at the edges of a token is left out. A token of nothing but
    white space starts at the next word and ends at the word before it, so its start is not before its end. is_first:
    whether a token is the first of its word, (N,) bool.
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    is_first: np.ndarray


class TextTokenizer(Protocol):
    """Tokenizes a text. has_blanks: whether a token can be nothing but white space."""

    has_blanks: bool

    def excess(self, text: str) -> int:
        """Return how many times as large as it may be a text becomes when it is normalized; 1 for an ordinary one."""

    def tokenize(self, text: str) -> TokenizedText:
        """Return the tokens of a text, without special tokens around it."""


def encode(tokenizer: Tokenizer, text: str) -> Encoding:
    """Tokenize a text without special tokens around it.

    Raises: RuntimeError where the library panics, with an error that would end the process. Tokenizers with unusual
    added tokens make it do so.
    """
    try:
        return tokenizer.encode(text, add_special_tokens=False)
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(f"the tokenizers library failed: {error}") from None


class WordPieceText:
    """For BERT's pre-tokenizer: offsets and words are the tokenizer's own."""

    has_blanks = False

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def excess(self, text: str) -> int:
        """Return 1: BERT's normalization makes at most four characters of one."""
        return 1

    def tokenize(self, text: str) -> TokenizedText:
        """Take offsets and words as the tokenizer has them."""
        encoding = encode(self._tokenizer, text)
        offsets = np.array(encoding.offsets, dtype=np.uint16).reshape(-1, 2)
        # A token of no word (None) becomes NaN, which differs from everything, so it is a word of its own.
        words = np.array(encoding.word_ids, dtype=np.float32)
        is_first = np.full(len(words), True)
        is_first[1:] = words[1:] != words[:-1]
        starts, ends = np.ascontiguousarray(offsets.T)
        return TokenizedText(np.array(encoding.ids, dtype=np.int32), starts, ends, is_first)


class SpacedText:
    """For all other tokenizers: words end at white space, punctuation and CJK characters, and hold no white space."""

    has_blanks = True

    def __init__(self, tokenizer: Tokenizer, space: str | None = None) -> None:
        """space: the token that stands for a space, also for one that the text does not have."""
        self._tokenizer = tokenizer
        space_id = tokenizer.token_to_id(space) if space else None
        self._space_id = -1 if space_id is None else space_id
        self._beginnings = _Beginnings(tokenizer.normalizer) if tokenizer.normalizer else None

    def excess(self, text: str) -> int:
        """Return the size of the text in UTF-8 after NFKC, which makes 18 characters of some, divided by a limit."""
        if text.isascii():
            return 1
        return math.ceil(len(unicodedata.normalize("NFKC", text).encode()) / NORMALIZED_BYTES)

    def tokenize(self, text: str) -> TokenizedText:
        """Find the words in the text itself."""
        # If the normalizer drops characters at the beginning, the library counts all others from the wrong place.
        begin = self._beginnings.length(text) if self._beginnings else 0
        encoding = encode(self._tokenizer, text[begin:])
        ids = np.array(encoding.ids, dtype=np.int32)
        offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2) + begin
        starts, ends, is_first = _words(offsets, ids == self._space_id, text)
        return TokenizedText(ids, starts.astype(np.uint16), ends.astype(np.uint16), is_first)


def text_tokenizer(tokenizer: Tokenizer) -> TextTokenizer:
    """Return what tokenizes texts with a tokenizer of this family."""
    parts = [part.get("type") for part in parts_of(settings_of(tokenizer.pre_tokenizer))]
    takes_space = any(token.lstrip or token.rstrip for token in tokenizer.get_added_tokens_decoder().values())
    if parts == ["BertPreTokenizer"] and not takes_space:
        return WordPieceText(tokenizer)
    return SpacedText(tokenizer, next((SPACES[part] for part in parts if part in SPACES), None))


class _Beginnings:
    """Finds the characters that a normalizer drops at the beginning of a text."""

    def __init__(self, normalizer: Normalizer) -> None:
        self._strips = normalizer.normalize_str(" a") == "a"
        self._is_dropped = lru_cache(maxsize=4096)(lambda each: normalizer.normalize_str(f"a{each}a") == "aa")

    def length(self, text: str) -> int:
        """Return the number of these characters."""
        if text[0].isalnum():
            return 0
        stripped = len(text) - len(text.lstrip(STRIPPED)) if self._strips else 0
        length = stripped
        while length < len(text) and self._is_dropped(text[length]):
            length += 1
        # The normalizer reads the last of them together with a mark that follows it.
        following = text[length : length + 1]
        is_apart = not following or begins_grapheme(following) or (following.isspace() and not self._strips)
        return length if is_apart else stripped


def _words(offsets: np.ndarray, is_space_token: np.ndarray, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts and ends without white space, and whether each token is the first of its word, (N,) each.

    offsets: the tokenizer's, (N, 2) int32. is_space_token: (N,) bool.
    """
    found, inverse = np.unique(np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32), return_inverse=True)
    characters = [chr(code_point) for code_point in found]
    is_space = np.array([each.isspace() for each in characters], dtype=bool)[inverse]
    stands_alone = np.array([is_word_of_its_own(each) for each in characters], dtype=bool)[inverse]
    starts, ends = _trimmed(offsets, is_space_token, is_space)
    return starts, ends, _first_of_words(starts, ends, stands_alone)


def _trimmed(offsets: np.ndarray, is_space_token: np.ndarray, is_space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends without white space, (N,) each. is_space: for each character of the text.

    In "a  b" the positions 1 and 2 are white space. A token of both starts at 3, where the next word begins, and ends
    at 1, where the word before ends.
    """
    length, at = len(is_space), np.arange(len(is_space))
    # For each position: that of the next character that is no white space, and the end of the one before.
    following = np.append(np.minimum.accumulate(np.where(is_space, length, at)[::-1])[::-1], length)
    before = np.concatenate(([0], np.maximum.accumulate(np.where(is_space, 0, at + 1))))
    starts, ends = offsets.T
    # A token that stands for a space which the text does not have belongs before the character that follows it.
    is_added = is_space_token & (starts == ends) & (starts > 0) & ~np.append(is_space, False)[starts - 1]
    starts = starts - is_added
    return following[starts], before[np.where(is_space_token, starts, ends)]


def _first_of_words(starts: np.ndarray, ends: np.ndarray, stands_alone: np.ndarray) -> np.ndarray:
    """Return whether a word begins between the end of the token before and the start of each token, (N,) bool.

    stands_alone: for each character of the text, whether it is white space or a word of its own.
    """
    can_begin = np.concatenate(([True], stands_alone[1:] | stands_alone[:-1], [True]))
    counts = np.concatenate(([0], np.cumsum(can_begin)))
    is_first = np.full(len(starts), True)
    is_first[1:] = counts[starts[1:] + 1] > counts[np.minimum(ends[:-1], starts[1:])]
    # Several tokens can hold the bytes of one character.
    is_first[1:] &= (starts[1:] != starts[:-1]) | (ends[:-1] <= starts[:-1])
    return is_first
