"""Cuts a text into sentences, in any language, with exact offsets.

ICU finds the boundaries by the rules of Unicode (UAX #29). They know no abbreviations, so this module then joins what
they cut after an initial, a title or the number of a list item, within a reported question, and within a line that was
wrapped. Offsets are code points. Every character belongs to one sentence: the sentences joined are the text.
"""

import re
from collections.abc import Iterator

import numpy as np
from icu4py.breakers import SentenceBreaker

PIECE_CHARS = 4096  # of a text that are cut at a time, in at most 10 ms
TAIL_CHARS = 16  # at the end of a sentence, which hold an abbreviation
WRAPPED_CHARS = 40  # a shorter line was not wrapped because it was full
LINE_CHARS = 200  # a line is at least this long if no line end is found in so many characters

LOCALE = "en"  # UAX #29 has the same rules for all languages but Greek


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A full stop after one of these does not end a sentence.
TITLES = _words(
    "Adm Bros Capt Cmdr Col Cpl Dr Dra Ft Gen Gov Hr Lt Maj Mme Mr Mrs Ms Msgr Mt Mx Pres Prof Rep Rev Sen Sgt Sr Sra "
    "Srta St Ste Ud Uds bzw ca cf geb v viz vs"
)
# A full stop after one of these does not end a sentence if a number follows.
NUMBERED = _words("Art Ch Eq Fig Figs No Nos Nr Sec Vol al fig no nos p pp vol")

LINE_ENDS = "\n\r\x0b\x0c\x85\u2028\u2029"
OPENING = "「『（【〔《〈｢〖"  # what opens directly after a full stop belongs to the next sentence

_LAST_WORD = re.compile(r"(?:^|[^\w.])(\w+)\.\s*$")
_LIST_NUMBER = re.compile(r"\s*\(?(?:\d{1,3}|[^\W\d_])[.)]\s*")
_CLOSING = re.compile(r"[»”’)\]]{1,4}(?:\s+|$)")  # French has a space before it, and ICU a boundary


def sentence_ends(text: str) -> Iterator[np.ndarray]:
    """Yield where the sentences of a text end, piece by piece, (S,) int32. The last one ends with the text.

    White space belongs to the sentence before it. A text of nothing but white space is one sentence.
    """
    at = 0  # up to here the text has been looked at
    begin = 0  # of the sentence that has not ended yet
    for ends in _boundaries(text):
        found = []
        for boundary in ends:
            end = _moved(text, at, boundary)
            if end <= at:
                continue
            segment, is_first = text[at:end], at == begin
            at = end
            if segment.isspace():
                begin = end if is_first and begin else begin
            elif end == len(text) or not _continues(text, segment, is_first, end):
                found += [begin] if begin else []  # the white space that follows belongs to it too
                begin = end
        yield np.array(found, dtype=np.int32)
    if text:
        yield np.array([len(text)], dtype=np.int32)


def _boundaries(text: str) -> Iterator[list[int]]:
    """Yield the boundaries that ICU finds in the whole text, but look at one piece of it at a time.

    Whether a full stop ends a sentence depends on what follows it up to the next full stop. So the last boundary that
    is found in a piece may be wrong, and those before it are right.
    """
    first, size = 0, PIECE_CHARS
    while first < len(text):
        lengths = [len(segment) for segment in SentenceBreaker(text[first : first + size], LOCALE)]
        if first + size < len(text):
            lengths = lengths[:-2]
            if not lengths:  # a very long sentence
                size *= 2
                continue
        ends: list[int] = (first + np.cumsum(lengths)).tolist()
        yield ends
        first, size = ends[-1], PIECE_CHARS


def _moved(text: str, at: int, end: int) -> int:
    """Return a boundary with the brackets and quotation marks on the side where they belong."""
    if end == len(text):
        return end
    if closing := _CLOSING.match(text, end):
        return closing.end()
    while end > at and text[end - 1] in OPENING:
        end -= 1
    return end


def _continues(text: str, segment: str, is_first: bool, end: int) -> bool:
    """Whether the sentence goes on behind a boundary. is_first: whether the segment before it begins the sentence."""
    tail = segment[-TAIL_CHARS:]
    following = text[end]
    visible = tail.rstrip()
    if tail[-1] in LINE_ENDS:
        is_wrapped = following.islower() and (visible[-1:].islower() or visible[-1:] in ",;")
        return is_wrapped and _line_chars(text, end) >= WRAPPED_CHARS
    if following.islower():  # as in: "Really?" she asked.
        return True
    if is_first and len(segment) <= TAIL_CHARS and _LIST_NUMBER.fullmatch(segment):
        return True
    word = _LAST_WORD.search(tail)
    if word is None:
        return False
    name = word[1]
    if name in NUMBERED:
        return following.isdigit()
    return name in TITLES or (len(name) == 1 and name.isalpha() and name != "I")


def _line_chars(text: str, end: int) -> int:
    """Return the length of the line that ends before `end`, at most LINE_CHARS."""
    first = max(0, end - LINE_CHARS)
    line = text[first:end].rstrip(LINE_ENDS)
    return len(line) - 1 - max(map(line.rfind, LINE_ENDS))
