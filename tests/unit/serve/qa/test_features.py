"""Text -> windows: the same as Hugging Face's tokenizer cuts, for any text, in any pieces."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from serve.errors import InvalidRequest
from serve.qa import features
from serve.qa.features import Document, Featurizer, Window, WindowLimits

ROOT = Path(__file__).parents[4]
QUESTION = "Who built the lighthouse?"
LIMITS = WindowLimits(384, 128, 64)
PIECE_CHARS = 7

WORDS = [
    *("the", "lighthouse", "unbelievably", "o'clock", "U.S.A.", "42.5%", "½", "🚢"),
    *("Zoë", "naïve", "coöperate", "straße", "İstanbul", "ﬁsh", "東京", "각"),
]

# Characters and strings that normalisation drops, decomposes, reorders, widens or takes for the end of a word.
NASTY = [
    *" \n\t\r\x00\x0b\x0c\x1c\x85\xa0\u2028\u3000\u200b\u200d\ufeff\ufffd\xad",
    *"\u0301\u0323\u0345\u302e\u093e\U0001d165\U0001d16d",  # combining; the last four are not stripped
    *"éİßﬁ각½ςΣ日\U00020000🚢",
    "👨\u200d👩\u200d👧",
    "🇩🇪",
    "[CLS]",
    "[SEP]",
    "[SEP",
    "##ing",
    "unbelievably",
    "x" * 101,  # WordPiece gives up on words of more than 100 characters
]
TEXTS = st.lists(st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]), max_size=40).map("".join)


@pytest.fixture(scope="module")
def featurizer() -> Featurizer:
    return Featurizer(ROOT / "models" / "demo" / "tokenizer.json")


@pytest.fixture(scope="module")
def reference() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(ROOT / "models" / "demo")


def text_of(tokens: int, featurizer: Featurizer) -> str:
    """A text of exactly so many tokens."""
    choose = random.Random(tokens)
    words: list[str] = []
    missing = tokens
    while missing > 0:
        word = choose.choice(WORDS)
        size = len(featurizer.encode_context(word).ids)
        if size > missing:
            word, size = "a", 1
        words.append(word)
        missing -= size
    return choose.choice(["", " "]) + " ".join(words) + choose.choice(["", "\n"])


def offsets(document: Document) -> list[tuple[int, int]]:
    return list(zip(document.starts.tolist(), document.ends.tolist(), strict=True))


def rows(document: Document) -> list[list[int]]:
    arrays = (document.ids, document.starts, document.ends, document.word_starts, document.word_ends)
    return [array.tolist() for array in arrays]


def in_pieces(featurizer: Featurizer, text: str) -> Document:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", PIECE_CHARS)
        return featurizer.encode_context(text)


@pytest.mark.parametrize(
    ("max_seq_len", "doc_stride"), [(384, 128), (384, 0), (512, 200), (64, 16), (32, 20), (16, 0), (100, 91)]
)
@pytest.mark.parametrize("tokens", [1, 2, 91, 92, 93, 376, 377, 378, 625, 626, 1000, 3000])
def test_windows_equal_those_of_hugging_faces_tokenizer(
    featurizer: Featurizer, reference: Any, tokens: int, max_seq_len: int, doc_stride: int
) -> None:
    limits = WindowLimits(max_seq_len, doc_stride, 64)
    context = text_of(tokens, featurizer)
    document = featurizer.encode_context(context)
    windows = featurizer.windows(featurizer.encode_question(QUESTION, limits), document, limits)
    expected = reference(
        QUESTION,
        context,
        truncation="only_second",
        max_length=max_seq_len,
        stride=doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert len(document.ids) == tokens
    assert [window.input_ids.tolist() for window in windows] == expected["input_ids"]
    assert [window.context_offset for window in windows] == [types.index(1) for types in expected["token_type_ids"]]
    spans = offsets(document)
    for window, mapping in zip(windows, expected["offset_mapping"], strict=True):
        place = slice(window.context_offset, window.context_offset + window.context_tokens)
        assert spans[window.first_token : window.first_token + window.context_tokens] == mapping[place]
        assert window.input_ids.dtype == np.int32


@settings(database=None, deadline=None, max_examples=300)
@given(TEXTS)
@example("a\u0301 \u0301b\n\u0301")
@example("a" * 200 + " " + "b" * 200)
@example("\x1cunbelievably\x85unbelievably\u3000x")
def test_any_text_is_tokenized_as_hugging_faces_tokenizer_does(
    featurizer: Featurizer, reference: Any, text: str
) -> None:
    document = in_pieces(featurizer, text)
    expected = reference(text, add_special_tokens=False, return_offsets_mapping=True)
    assert document.ids.tolist() == expected["input_ids"]
    assert offsets(document) == expected["offset_mapping"]


@settings(database=None, deadline=None, max_examples=500)
@given(TEXTS)
@example("")
@example(" \n ")
@example("x" * 30 + " y\nz" * 10)
@example("각각 ﬁ\u0301sh İ 👨\u200d👩\u200d👧 日本語")
def test_a_text_tokenized_in_pieces_equals_the_text_in_one_piece(featurizer: Featurizer, text: str) -> None:
    assert len(text) < features.PIECE_CHARS
    assert rows(in_pieces(featurizer, text)) == rows(featurizer.encode_context(text))


@settings(database=None, deadline=None, max_examples=500)
@given(TEXTS)
def test_offsets_increase_and_stay_within_the_text(featurizer: Featurizer, text: str) -> None:
    document = in_pieces(featurizer, text)
    assert (document.starts >= 0).all()
    assert (document.starts < document.ends).all()
    assert (document.ends <= len(text)).all()
    assert (np.diff(document.starts) >= 0).all()
    assert (np.diff(document.ends) >= 0).all()


@settings(database=None, deadline=None, max_examples=500)
@given(TEXTS)
def test_words_cover_their_tokens_and_increase(featurizer: Featurizer, text: str) -> None:
    document = in_pieces(featurizer, text)
    assert (document.word_starts <= document.starts).all()
    assert (document.ends <= document.word_ends).all()
    assert (np.diff(document.word_starts) >= 0).all()
    assert (np.diff(document.word_ends) >= 0).all()


def test_a_long_text_is_tokenized_in_pieces(featurizer: Featurizer) -> None:
    text = "unbelievably naïve " * 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", PIECE_CHARS)
        few = featurizer.encode_context(text, max_tokens=10)
    whole = featurizer.encode_context(text)
    assert 10 < len(few.ids) < len(whole.ids) / 2
    assert few.ids.tolist() == whole.ids[: len(few.ids)].tolist()


def test_a_text_up_to_max_tokens_is_tokenized_whole(featurizer: Featurizer) -> None:
    document = in_pieces(featurizer, "word " * 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", PIECE_CHARS)
        assert rows(featurizer.encode_context("word " * 30, max_tokens=30)) == rows(document)


def test_a_word_covers_all_of_its_tokens(featurizer: Featurizer) -> None:
    text = "An unbelievably-naïve 42.5%!"
    document = featurizer.encode_context(text)
    words = [text[a:b] for a, b in zip(document.word_starts, document.word_ends, strict=True)]
    assert words == ["An", *["unbelievably"] * words.count("unbelievably"), "-", "naïve", "42", ".", "5", "%", "!"]
    assert words.count("unbelievably") > 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("🚢 Zoë", ["🚢", "Zoë"]),
        ("e\u0301tude", ["e\u0301tude"]),
        ("\u200bship\u200b", ["ship"]),
        ("日本 x", ["日", "本", "x"]),
        ("İstanbul", ["İstanbul"]),
    ],
)
def test_offsets_are_code_points_of_the_text_as_sent(featurizer: Featurizer, text: str, expected: list[str]) -> None:
    document = featurizer.encode_context(text)
    words = dict.fromkeys(zip(document.word_starts.tolist(), document.word_ends.tolist(), strict=True))
    assert [text[start:end] for start, end in words] == expected


@pytest.mark.parametrize("text", ["", " ", "\u200b\u200b", "\x00\n"])
def test_a_document_without_tokens_gives_one_window_without_context(featurizer: Featurizer, text: str) -> None:
    document = featurizer.encode_context(text)
    question = featurizer.encode_question(QUESTION, LIMITS)
    windows = featurizer.windows(question, document, LIMITS)
    assert rows(document) == [[], [], [], [], []]
    assert [window.context_tokens for window in windows] == [0]
    cls, sep = windows[0].input_ids[0], windows[0].input_ids[-1]
    assert windows[0].input_ids.tolist() == [cls, *question, sep, sep]


@pytest.mark.parametrize(("max_seq_len", "doc_stride"), [(384, 128), (64, 16), (16, 0), (32, 20)])
def test_every_token_of_a_document_is_in_a_window(featurizer: Featurizer, max_seq_len: int, doc_stride: int) -> None:
    limits = WindowLimits(max_seq_len, doc_stride, 64)
    document = featurizer.encode_context(text_of(1000, featurizer))
    windows = featurizer.windows(featurizer.encode_question(QUESTION, limits), document, limits)
    slices = [range(window.first_token, window.first_token + window.context_tokens) for window in windows]
    assert set().union(*slices) == set(range(1000))
    assert [len(set(a) & set(b)) for a, b in zip(slices, slices[1:], strict=False)] == [doc_stride] * (len(slices) - 1)
    assert all(len(window.input_ids) <= max_seq_len for window in windows)


@pytest.mark.parametrize("question", ["", "  ", "\u200b", "\x00"])
def test_a_question_without_words_is_refused(featurizer: Featurizer, question: str) -> None:
    with pytest.raises(InvalidRequest, match="question: has no words"):
        featurizer.encode_question(question, LIMITS)


def test_a_question_may_have_as_many_tokens_as_the_limit_and_no_more(featurizer: Featurizer) -> None:
    assert len(featurizer.encode_question("why " * 64, LIMITS)) == 64
    with pytest.raises(InvalidRequest, match="question: has 65 tokens, but max_question_len is 64"):
        featurizer.encode_question("why " * 65, LIMITS)


def cut(featurizer: Featurizer, question_tokens: int, max_seq_len: int, doc_stride: int) -> Sequence[Window]:
    limits = WindowLimits(max_seq_len, doc_stride, 512)
    question = featurizer.encode_question("why " * question_tokens, limits)
    return featurizer.windows(question, featurizer.encode_context("word " * 20), limits)


@pytest.mark.parametrize(
    ("question_tokens", "max_seq_len", "doc_stride", "capacity"),
    [(3, 16, 10, 10), (3, 16, 11, 10), (13, 16, 0, 0), (64, 16, 0, 0)],
)
def test_a_window_without_room_to_advance_is_refused(
    featurizer: Featurizer, question_tokens: int, max_seq_len: int, doc_stride: int, capacity: int
) -> None:
    with pytest.raises(InvalidRequest, match=rf"doc_stride: .* room for {capacity} context tokens"):
        cut(featurizer, question_tokens, max_seq_len, doc_stride)


def test_a_window_that_advances_by_one_token_is_enough(featurizer: Featurizer) -> None:
    windows = cut(featurizer, 3, 16, 9)
    assert [window.first_token for window in windows] == list(range(11))


def test_truncation_and_padding_in_the_tokenizers_file_are_ignored(tmp_path: Path, featurizer: Featurizer) -> None:
    tokenizer = Tokenizer.from_file(str(ROOT / "models" / "demo" / "tokenizer.json"))
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=64)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    text = "word " * 20
    assert rows(Featurizer(tmp_path / "tokenizer.json").encode_context(text)) == rows(featurizer.encode_context(text))


def test_a_tokenizer_that_writes_pairs_in_another_way_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"a": 0, "b": 1}, "a")).save(str(file))
    with pytest.raises(ValueError, match="does not write pairs"):
        Featurizer(file)
