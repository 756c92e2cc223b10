"""Where a long text may be cut so that its pieces have the same tokens as the whole text.

A tokenizer needs memory and time for all of the text that it is given at once, so a context is tokenized in pieces.
Which cuts change no token depends on the tokenizer's family. `cuts_for` chooses the rule for the tokenizer that is
loaded, and tries it on a short text; a further family needs one more class with the method `allows`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from tokenizers import AddedToken, Tokenizer

from serve.qa.tokenizer.characters import begins_grapheme, ends_grapheme, ends_word, is_word_of_its_own
from serve.qa.tokenizer.settings import parts_of, settings_of
from serve.qa.tokenizer.tokenized_text import TextTokenizer

# The tokenizer needs about 400 bytes for each character of a piece. BERT reads a word of more than 100 characters as
# [UNK], so the second limit concerns only text that the model cannot read, and languages written without spaces.
PIECE_CHARS = 8_192  # a piece ends at the last allowed cut before this length
SEARCH_CHARS = 256  # of a piece that are searched for cuts at a time
RUN_CHARS = 16_384  # a text that allows no cut for this length is cut here all the same

SAMPLE = (
    'The first (1,234.50 "x") don\'t. two  three\nfour\t five U.S. naïve Zürich [MASK] or <mask> 12%; '
    "привет мир, 你好 世界。 日本語 안녕 하세요 ภาษา ไทย नमस्ते दुनिया 👍🏽 ok e\u0301 x!  \n the end "
)
_SPLITTERS = ("BertPreTokenizer", "WhitespaceSplit", "Whitespace")


class TextCuts(Protocol):
    """The cuts that one tokenizer's family allows.

    possible: matches end where a cut may be allowed; most texts have few other places to look at one by one.
    """

    possible: re.Pattern[str]

    def allows(self, text: str, at: int) -> bool:
        """Whether a cut before the character `at` changes no token of the text, which goes on at both sides."""


class NoCuts:
    """No cut. Tokens of this family can lie across any place of a text, or what it does is not known."""

    possible = re.compile("(?!)")

    def allows(self, text: str, at: int) -> bool:
        """Allow nothing."""
        return False


class WordPieceCuts:
    """Cuts after white space, punctuation and CJK characters, which BERT's pre-tokenizer makes words of their own."""

    possible = re.compile("[^0-9A-Za-z]")

    def __init__(self, added_tokens: Sequence[AddedToken], *, splits_cjk: bool) -> None:
        """added_tokens: such as "[MASK]", which the tokenizer finds before it does anything else."""
        self._in_added_tokens = _neighbours(added_tokens)
        self._splits_cjk = splits_cjk

    def allows(self, text: str, at: int) -> bool:
        """Allow a cut after a character that ends its word, if no added token can lie across it."""
        return ends_word(text[at - 1], self._splits_cjk) and text[at - 1 : at + 1] not in self._in_added_tokens


class WordStartCuts:
    """Cuts before a single space between two words: a tokenizer that splits at spaces begins a word there.

    Byte-level BPE and SentencePiece keep the space as the beginning of the word's first token. The characters beside
    the space must be letters, digits or punctuation that no normalizer takes together with the space.
    """

    possible = re.compile(r"\S(?= \S)")

    def __init__(self, added_tokens: Sequence[AddedToken], *, before_punctuation: bool) -> None:
        """before_punctuation: whether the word after a cut may begin with punctuation."""
        self._before_punctuation = before_punctuation
        self._in_added_tokens = _neighbours(added_tokens)
        self._added_tokens = tuple(_any_case(token.content for token in added_tokens))

    def allows(self, text: str, at: int) -> bool:
        """Allow a cut before a space, if no added token can lie across it or touch it."""
        if text[at] != " " or at + 1 == len(text):
            return False
        before, after = text[at - 1], text[at + 1]
        # An added token can take the white space beside it, and the text beside it is normalized for itself.
        if text.startswith(self._added_tokens, at + 1) or text.endswith(self._added_tokens, 0, at):
            return False
        if before + " " in self._in_added_tokens:
            return False
        return ends_grapheme(before) and begins_grapheme(after) and (after.isalnum() or self._before_punctuation)


def cuts_for(tokenizer: Tokenizer, texts: TextTokenizer) -> TextCuts:
    """Return the rule for the family of this tokenizer; one that is not known is not cut where its tokens matter."""
    added = list(tokenizer.get_added_tokens_decoder().values())
    normalizer, pre_tokenizer = settings_of(tokenizer.normalizer), settings_of(tokenizer.pre_tokenizer)
    rules: list[TextCuts] = []
    if pre_tokenizer.get("type") == "BertPreTokenizer" and normalizer.get("type") == "BertNormalizer":
        rules = [WordPieceCuts(added, splits_cjk=normalizer["handle_chinese_chars"])]
    elif any(_splits_at_spaces(part) for part in parts_of(pre_tokenizer)):
        rules = [WordStartCuts(added, before_punctuation=allowed) for allowed in (True, False)]
    return next((cuts for cuts in rules if _keeps_tokens(texts, cuts)), NoCuts())


def piece_end(text: str, begin: int, cuts: TextCuts, piece_chars: int, run_chars: int = RUN_CHARS) -> int:
    """Return the end of the piece of about `piece_chars` characters that begins at `begin`.

    The piece ends at its last allowed cut, or else at the next one. If there is none within `run_chars` characters, the
    piece ends there, after a word if possible: the tokens around this place may differ from those of the whole text.
    """
    target = begin + piece_chars
    if target >= len(text):
        return len(text)
    limit = min(begin + run_chars, len(text))
    for end in _possible_ends(text, begin, target, limit, cuts.possible):
        if cuts.allows(text, end):
            return end
    if limit == len(text):
        return limit
    earliest = max(begin, limit - SEARCH_CHARS)
    return next((end for end in range(limit, earliest, -1) if is_word_of_its_own(text[end - 1])), limit)


def _possible_ends(text: str, begin: int, target: int, limit: int, possible: re.Pattern[str]) -> Iterator[int]:
    """Yield the ends from the target back to the beginning, and then those from the target to the limit."""
    for stop in range(target, begin, -SEARCH_CHARS):
        yield from reversed([match.end() for match in possible.finditer(text, max(begin, stop - SEARCH_CHARS), stop)])
    for match in possible.finditer(text, target, limit - 1):
        yield match.end()


def _any_case(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(variant for text in texts for variant in (text, text.lower(), text.upper()))


def _neighbours(added_tokens: Sequence[AddedToken]) -> frozenset[str]:
    """Return each two neighbouring characters of an added token: a token lies across a cut only between such."""
    texts = _any_case(token.content for token in added_tokens)
    return frozenset(text[at : at + 2] for text in texts for at in range(len(text) - 1))


def _splits_at_spaces(pre_tokenizer: dict[str, Any]) -> bool:
    kind = pre_tokenizer.get("type")
    if kind == "ByteLevel":
        return bool(pre_tokenizer.get("use_regex", True))
    return kind in _SPLITTERS or (kind == "Metaspace" and bool(pre_tokenizer.get("split", True)))


def _keeps_tokens(texts: TextTokenizer, cuts: TextCuts) -> bool:
    """Whether no cut that the rule allows changes a token of a sample, which has several scripts."""

    def tokens(begin: int, end: int) -> np.ndarray:
        ids, starts, ends, is_first = texts.tokenize(SAMPLE[begin:end])
        return np.array((ids, starts + begin, ends + begin, is_first), dtype=np.int64)

    try:
        whole = tokens(0, len(SAMPLE))
        return all(
            np.array_equal(np.concatenate((tokens(0, at), tokens(at, len(SAMPLE))), axis=1), whole)
            for at in range(1, len(SAMPLE))
            if cuts.allows(SAMPLE, at)
        )
    except Exception:  # the tokenizers library raises this class itself, such as for a vocabulary without [UNK]
        return False
