"""Which characters end a word, as BERT's pre-tokenizer has it, and which are never read together with a neighbour."""

import unicodedata
from functools import lru_cache

# These are the blocks that tokenizers' BertNormalizer sets apart with spaces (normalizers/bert.rs).
_CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
_SPACES = frozenset(" \t\n\r")
# Letters that Unicode attaches to the next character (Grapheme_Cluster_Break=Prepend), or to the one before them
# (SpacingMark): a normalizer that reads graphemes takes them together with a space beside them.
_PREPEND = frozenset("\u0d4e\U000111c2\U000111c3\U000113d1\U0001193f\U00011941\U00011a3a\U00011d46\U00011f02") | {
    chr(code_point) for code_point in range(0x11A84, 0x11A8A)
}
_SPACING_MARKS = frozenset("\u0e33\u0eb3")
_LETTERS = ("Lu", "Ll", "Lt", "Lo", "Nd")


@lru_cache(maxsize=4096)  # a text has few different characters, and one without spaces is searched through
def ends_word(character: str, splits_cjk: bool) -> bool:
    """Whether a character ends its word whatever follows it. splits_cjk: whether a CJK character is a word."""
    return character in _SPACES or _is_punctuation(character) or (splits_cjk and _is_cjk(character))


@lru_cache(maxsize=4096)
def is_word_of_its_own(character: str) -> bool:
    """Whether a character stands between words, or is a word of one character."""
    return (
        character.isspace()
        or (character.isascii() and _is_punctuation(character))
        or unicodedata.category(character).startswith("P")
        or _is_cjk(character)
    )


@lru_cache(maxsize=4096)
def ends_grapheme(character: str) -> bool:
    """Whether a normalizer reads no space after this character together with it."""
    return _is_letter_or_punctuation(character) and character not in _PREPEND


@lru_cache(maxsize=4096)
def begins_grapheme(character: str) -> bool:
    """Whether a normalizer reads this character without the one before it."""
    return _is_letter_or_punctuation(character) and character not in _SPACING_MARKS


def _is_letter_or_punctuation(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _LETTERS or category.startswith("P")


def _is_punctuation(character: str) -> bool:
    """Whether BERT takes a character for punctuation, in every version of Unicode and also after normalization."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    is_old = unicodedata.ucd_3_2_0.category(character).startswith("P")
    return (
        is_old
        and unicodedata.category(character).startswith("P")
        and unicodedata.normalize("NFD", character) == character
    )


def _is_cjk(character: str) -> bool:
    code_point = ord(character)
    return code_point >= 0x3400 and any(first <= code_point <= last for first, last in _CJK)
