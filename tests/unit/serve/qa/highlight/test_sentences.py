"""Sentences: joined they are the text, they are found in any language, and their cost grows with the text only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icu4py.breakers import SentenceBreaker

from serve.qa.highlight import sentences
from serve.qa.highlight.sentences import sentence_ends

MARKS = [
    ".",
    "!?",
    "。",
    "\n",
    "\r\n",
    "\u2028",
    '"',
    "“",
    "”",
    "»",
    "「",
    "」",
    "(",
    ")",
    " ",
    "1",
    "1.",
    ",",
    "🚢",
    "é",
]
WORDS = ["a", "B", "Mr.", "He", "U.S.", "日本", "है।", "\u200b", "\x00", "\U0001f468\u200d", "e\u0301", "x" * 30]
TEXTS = st.one_of(st.text(max_size=80), st.lists(st.sampled_from(MARKS + WORDS), max_size=60).map("".join))


def cut(text: str) -> list[str]:
    ends = [0, *(int(end) for part in sentence_ends(text) for end in part)]
    return [text[start:end] for start, end in zip(ends, ends[1:], strict=False)]


@settings(database=None, deadline=None, max_examples=400)
@given(TEXTS, st.integers(1, 40))
def test_the_sentences_joined_are_the_text_and_do_not_depend_on_the_pieces(text: str, piece_chars: int) -> None:
    whole = cut(text)
    assert "".join(whole) == text
    assert all(sentence.strip() for sentence in whole) or text.isspace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentences, "PIECE_CHARS", piece_chars)
        assert cut(text) == whole


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Smith paid $3.50 on Jan. 5 to Mr. Lee. ", "He left."],
        ["“Really?” she asked. ", "U.S. troops left... and it ended! ", "It grew by 3.5 % in 2020."],
        ["J. R. R. Tolkien wrote it. ", "St. Louis lies there. ", "See Fig. 3. ", "No. ", "It is not."],
        ["Shopping list\n", "1. First item\n", "2. Second item\n\n", "- third\n", "• fourth\n", "a) fifth"],
        ["This long line of an old e-mail was wrapped,\nand it goes on here. ", "Then comes another."],
        ["A title\n", "and its text."],
        ["東京は首都です。", "「はい。」", "大阪は違う！", "終わり。"],
        ["他说：“你好。”", "然后走了。", "再见！"],
        ["यह पहला वाक्य है। ", "यह दूसरा वाक्य है।"],
        ["هذه جملة. ", "هل هذه جملة؟ ", "نعم."],
        ["Das ist z. B. ein Test. ", "Dr. Müller, geb. Schmidt, ging."],
        ["Il a dit : « Bonjour. ", "Ça va ? » ", "M. Dupont est parti."],
        ["¿Qué tal? ", "¡Bien! ", "El Sr. García llegó."],
        ["Zoë 🚢🚢. ", "\U0001f468\u200d\U0001f469\u200d\U0001f467 Came. ", "Then ☔ fell."],
        [" \n It rained. \t\n", " It stopped. \n"],
        ["It rained. "] * 5,
        [" \n "],
    ],
)
def test_sentences_of_many_kinds_of_text(expected: list[str]) -> None:
    assert cut("".join(expected)) == expected


def test_a_text_without_characters_has_no_sentences() -> None:
    assert cut("") == []


@pytest.mark.parametrize("unit", ["A. ", "a\n", "\n", " ", "。「", "x", ".» ", ". 1 1 1 1", "y" * 5000 + ". "])
def test_icu_reads_no_part_of_a_hostile_text_often(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(text: str, locale: str) -> SentenceBreaker:
        read.append(len(text))
        return SentenceBreaker(text, locale)

    monkeypatch.setattr(sentences, "SentenceBreaker", counted)
    text = unit * (300_000 // len(unit))
    assert "".join(cut(text)) == text
    assert sum(read) < 6 * len(text)


def test_a_very_long_sentence_is_found_whole() -> None:
    long = "Word" + " word" * 10_000 + " ends. "
    assert cut(f"Short. {long}Short again.") == ["Short. ", long, "Short again."]
