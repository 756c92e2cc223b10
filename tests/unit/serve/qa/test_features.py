"""Text -> windows: the same as Hugging Face's tokenizer cuts, for any text, in any pieces."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from serve.errors import InvalidRequest
from serve.qa import features
from serve.qa.document import Document
from serve.qa.features import Featurizer, Window, WindowLimits

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
        size = len(featurizer.encode_context(word))
        if size > missing:
            word, size = "a", 1
        words.append(word)
        missing -= size
    return choose.choice(["", " "]) + " ".join(words) + choose.choice(["", "\n"])


def offsets(document: Document) -> list[tuple[int, int]]:
    tokens = document.whole
    return list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True))


def rows(document: Document) -> list[list[int]]:
    tokens = document.whole
    arrays = (tokens.ids, tokens.starts, tokens.ends, tokens.word_starts, tokens.word_ends)
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
    assert len(document) == tokens
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
    assert document.whole.ids.tolist() == expected["input_ids"]
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
    assert (document.whole.starts >= 0).all()
    assert (document.whole.starts < document.whole.ends).all()
    assert (document.whole.ends <= len(text)).all()
    assert (np.diff(document.whole.starts) >= 0).all()
    assert (np.diff(document.whole.ends) >= 0).all()


@settings(database=None, deadline=None, max_examples=500)
@given(TEXTS)
def test_words_cover_their_tokens_and_increase(featurizer: Featurizer, text: str) -> None:
    document = in_pieces(featurizer, text)
    assert (document.whole.word_starts <= document.whole.starts).all()
    assert (document.whole.ends <= document.whole.word_ends).all()
    assert (np.diff(document.whole.word_starts) >= 0).all()
    assert (np.diff(document.whole.word_ends) >= 0).all()


def test_a_long_text_is_tokenized_in_pieces(featurizer: Featurizer) -> None:
    text = "unbelievably naïve " * 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", PIECE_CHARS)
        few = featurizer.encode_context(text, max_tokens=10)
    whole = featurizer.encode_context(text)
    assert 10 < len(few) < len(whole) / 2
    assert few.whole.ids.tolist() == whole.ids(0, len(few)).tolist()


def test_a_text_up_to_max_tokens_is_tokenized_whole(featurizer: Featurizer) -> None:
    document = in_pieces(featurizer, "word " * 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", PIECE_CHARS)
        assert rows(featurizer.encode_context("word " * 30, max_tokens=30)) == rows(document)


def test_a_word_covers_all_of_its_tokens(featurizer: Featurizer) -> None:
    text = "An unbelievably-naïve 42.5%!"
    document = featurizer.encode_context(text)
    words = [text[a:b] for a, b in zip(document.whole.word_starts, document.whole.word_ends, strict=True)]
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
    words = dict.fromkeys(zip(document.whole.word_starts.tolist(), document.whole.word_ends.tolist(), strict=True))
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
    ("question_tokens", "max_seq_len", "doc_stride", "message"),
    [
        (3, 16, 10, r"^parameters.doc_stride: .* room for 10 tokens .* cannot overlap by 10"),
        (3, 16, 11, r"^parameters.doc_stride: .* room for 10 tokens .* cannot overlap by 11"),
        (13, 16, 0, r"^parameters.max_seq_len: .* no room for the context beside a question of 13 tokens"),
        (64, 16, 8, r"^parameters.max_seq_len: .* no room for the context beside a question of 64 tokens"),
    ],
)
def test_a_window_without_room_to_advance_is_refused(
    featurizer: Featurizer, question_tokens: int, max_seq_len: int, doc_stride: int, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message):
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


def test_bpe_that_drops_spaces_is_accepted(tmp_path: Path) -> None:
    """Such as HerBERT's, which has the architecture of BERT."""
    file = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = ["Who built the tower ?", "Zoë built it."] * 5
    tokenizer.train_from_iterator(
        words,
        trainers.BpeTrainer(special_tokens=["<s>", "</s>", "<unk>"], end_of_word_suffix="</w>", show_progress=False),
    )
    tokenizer.post_processor = processors.BertProcessing(("</s>", 1), ("<s>", 0))
    tokenizer.save(str(file))
    context = "Zoë  built\nthe tower. " * 600
    document = Featurizer(file).encode_context(context)
    whole = Tokenizer.from_file(str(file)).encode(context, add_special_tokens=False)
    assert document.whole.ids.tolist() == whole.ids
    assert list(zip(document.whole.starts, document.whole.ends, strict=True)) == whole.offsets
