"""The tokenizers of each family, trained here: the same tokens as Hugging Face's, in any pieces, with exact places."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken

from serve.qa import features
from serve.qa.document import Document
from serve.qa.features import Featurizer, WindowLimits
from serve.qa.ranking.calibration import Calibration
from serve.qa.spans import SpanRules, rank
from serve.qa.tokenizer.cuts import NoCuts, WordPieceCuts, WordStartCuts
from serve.qa.tokenizer.tokenized_text import NORMALIZED_BYTES
from tests.trained_tokenizers import UNICODE, WRITE, texts

LIMITS = WindowLimits(64, 16, 32)
QUESTION = "Who built the lighthouse?"
SPECIAL = ["[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<mask>", " <mask> ", "<pad>", "[SEP", "<mas"]
PARTS = [
    *" \n\t\xa0\u3000\u2028\u200b\u200d\xad\ufeff\ufffd\u2581",
    *("  ", " the", " of", " a", "'s", " don't", " 12,5", "(x)", " U.S.", "ำ", "\u0301", "\u0345", "\u0600", "ﬁ", "½"),
    *("İ", "ß", "각", "日本", " 日本", "𠀀", "🚢", "👨\u200d👩\u200d👧", "🇩🇪", "x" * 101),
]
TEXTS = st.lists(
    st.sampled_from(PARTS + SPECIAL) | st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30
).map("".join)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {family: tmp_path_factory.mktemp("tokenizers") / family for family in WRITE}
    for family, write in WRITE.items():
        write(made[family])
    return made


@pytest.fixture(scope="module", params=list(WRITE))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def featurizer(family: str, folders: dict[str, Path]) -> Featurizer:
    return Featurizer(folders[family] / "tokenizer.json")


@pytest.fixture(scope="module")
def reference(family: str, folders: dict[str, Path]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folders[family])


def columns(document: Document) -> list[list[int]]:
    tokens = document.whole
    arrays = (tokens.ids, tokens.starts, tokens.ends, tokens.word_starts, tokens.word_ends)
    return [array.tolist() for array in arrays]


def in_pieces(featurizer: Featurizer, text: str, characters: int) -> Document:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "PIECE_CHARS", characters)
        return featurizer.encode_context(text)


def test_each_family_has_its_rule_for_cuts(family: str, featurizer: Featurizer) -> None:
    assert isinstance(featurizer._cuts, WordPieceCuts if family == "bert" else WordStartCuts)


def test_pairs_are_written_as_the_model_expects_them(featurizer: Featurizer, reference: Any) -> None:
    context = " ".join(texts()[:5])
    document = featurizer.encode_context(context)
    windows = featurizer.windows(featurizer.encode_question(QUESTION, LIMITS), document, LIMITS)
    expected = reference(
        QUESTION, context, truncation="only_second", max_length=64, stride=16, return_overflowing_tokens=True
    )
    assert len(windows) > 5
    assert [window.input_ids.tolist() for window in windows] == expected["input_ids"]
    for index, window in enumerate(windows):
        sequences = expected.sequence_ids(index)
        place = range(window.context_offset, window.context_offset + window.context_tokens)
        assert [at for at, sequence in enumerate(sequences) if sequence == 1] == list(place)
    assert expected.encodings[0].type_ids[windows[0].context_offset] == featurizer.frame.context_type


@settings(database=None, deadline=None, max_examples=200)
@given(TEXTS)
@example(UNICODE)
@example("two  spaces and\n\nlines  ")
@example(" \x0b (x) one")
@example("\x0b (x) one two")
def test_any_text_has_the_tokens_of_hugging_faces_tokenizer_and_exact_places(
    featurizer: Featurizer, reference: Any, text: str
) -> None:
    assume(text.strip())
    tokens = featurizer.encode_context(text).whole
    expected = reference(text, add_special_tokens=False, return_offsets_mapping=True)
    assert tokens.ids.tolist() == expected["input_ids"]
    for start, end in zip(tokens.starts, tokens.ends, strict=True):
        assert start >= end or text[start:end] == text[start:end].strip()


@settings(database=None, deadline=None, max_examples=200)
@given(TEXTS, st.integers(1, 12))
@example(UNICODE, 5)
@example("one two  three\nfour\t five <mask> six[MASK] seven", 1)
def test_a_text_in_pieces_has_the_tokens_words_and_places_of_the_whole(
    featurizer: Featurizer, text: str, characters: int
) -> None:
    assert columns(in_pieces(featurizer, text, characters)) == columns(featurizer.encode_context(text))


RULES = [
    SpanRules(3, 10, False, True),
    SpanRules(3, 10, True, True, returns_logits=True),
    SpanRules(1, 10, True, False, no_answer_threshold=2.0, returns_logits=True),
    SpanRules(3, 10, False, False, calibration=Calibration(0.5, 1.0)),
]


@settings(database=None, deadline=None, max_examples=100)
@given(
    TEXTS | st.sampled_from(["\x1c", "\u2581", " \x1f ", "\n\n\n x"]), st.sampled_from(RULES), st.integers(0, 2**32 - 1)
)
def test_any_text_gets_an_answer_without_white_space_around_it(
    featurizer: Featurizer, text: str, rules: SpanRules, seed: int
) -> None:
    document = featurizer.encode_context(text)
    windows = featurizer.windows(featurizer.encode_question(QUESTION, LIMITS), document, LIMITS)
    logits = np.random.default_rng(seed).normal(0, 5, (2, 64)).astype(np.float32)
    pairs = [(logits[0, : len(window.input_ids)], logits[1, : len(window.input_ids)]) for window in windows]
    answers = rank(text, document, windows, pairs, rules)
    assert 1 <= len(answers) <= rules.top_k
    assert all(0 <= each.score <= 1 for each in answers)
    assert sum(each.score for each in answers) <= 1 + 1e-6
    assert all(each.answer == each.answer.strip() == text[each.start : each.end] for each in answers)
    details = answers[0].details or {}
    if "null_logit" in details:
        spans = [(each.details or {})["logit"] for each in answers if each.answer]
        if answers[0].answer:
            assert details["null_logit"] - details["logit"] <= rules.no_answer_threshold
        elif spans:
            assert details["null_logit"] - max(spans) > rules.no_answer_threshold


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("bert", {"do_lower_case": False}),
        ("bert", {"tokenize_chinese_chars": False, "strip_accents": False}),
        ("roberta", {"add_prefix_space": True}),
        ("roberta", {"trim_offsets": False}),
        ("camembert", {"do_lower_case": True}),
        ("deberta-v2", {"do_lower_case": True, "split_by_punct": True}),
    ],
)
def test_tokenizers_of_other_settings_have_the_same_tokens_in_pieces(
    tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    from transformers import AutoTokenizer

    WRITE[family](tmp_path, **changes)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens(["Acme Corp", AddedToken("lighthouse", lstrip=True, rstrip=True)])
    tokenizer.add_tokens(["qqa", "qqe", "qqi", "qqn", "qqr", "qqs", "qqt"])  # one for each frequent letter
    tokenizer.save_pretrained(tmp_path)
    featurizer = Featurizer(tmp_path / "tokenizer.json")
    text = f"  {UNICODE} Acme Corp built the  lighthouse of Zürich (in 1886), don't. \n\n{texts()[0]}"
    tokens = featurizer.encode_context(text).whole
    expected = tokenizer(text, add_special_tokens=False)
    assert tokens.ids.tolist() == expected["input_ids"]
    assert text[tokens.starts[0] : tokens.ends[0]].strip() == text[tokens.starts[0] : tokens.ends[0]]
    assert len(in_pieces(featurizer, text, 5)._pieces) > 20
    for characters in (1, 5, 20):
        assert columns(in_pieces(featurizer, text, characters)) == columns(featurizer.encode_context(text))


def test_a_long_text_is_cut_into_many_pieces(featurizer: Featurizer) -> None:
    text = " ".join(texts()[:20])
    document = featurizer.encode_context(text)
    assert len(document._pieces) >= len(text) // features.PIECE_CHARS
    whole = in_pieces(featurizer, text, len(text))
    assert len(whole._pieces) == 1
    assert columns(document) == columns(whole)


def test_a_text_that_normalization_makes_longer_is_cut_into_shorter_pieces(family: str, featurizer: Featurizer) -> None:
    for text in ("\ufdfa " * 4000, "\ufdfa" * 8000, "\U0001d160" * 8000):
        pieces = list(featurizer.pieces(text))
        assert family == "bert" or len(pieces) > 2  # BERT's normalization makes no text much longer
        assert max(len(piece.ids) for piece in pieces) <= 1.1 * NORMALIZED_BYTES


def test_a_text_without_a_place_for_a_cut_is_cut_after_a_word(featurizer: Featurizer) -> None:
    text = "word\n" * 8000
    pieces = list(featurizer.pieces(text))
    assert len(pieces) > 1
    assert all(text[piece.begin - 1] == "\n" for piece in pieces[1:])


def test_answers_hold_no_white_space_and_words_end_at_punctuation(featurizer: Featurizer) -> None:
    text = "It is  (Zürich),\n\nnot Bern. "
    tokens = featurizer.encode_context(text).whole
    words = {(int(a), int(b)) for a, b in zip(tokens.word_starts, tokens.word_ends, strict=True) if a < b}
    assert {text[a:b] for a, b in words} == {"It", "is", "(", "Zürich", ")", ",", "not", "Bern", "."}
    assert np.all(tokens.word_starts <= tokens.starts)


def test_a_panic_of_the_library_is_an_ordinary_error(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    WRITE["camembert"](tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.add_tokens(["      "])  # which this normalizer makes empty
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match="the tokenizers library failed"):
        Featurizer(tmp_path / "tokenizer.json").encode_context("two  words")


def test_a_tokenizer_whose_tokens_lie_across_spaces_is_cut_nowhere(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<s>", "</s>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(texts()[:50], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    featurizer = Featurizer(tmp_path / "tokenizer.json")
    assert isinstance(featurizer._cuts, NoCuts)
    assert not featurizer.knows_cuts
    text = "word and word " * 2000  # longer than the documented limit, where it is cut all the same
    document = featurizer.encode_context(text)
    assert len(document._pieces) == 2
    tokens = document.whole
    assert int(tokens.starts.min()) == 0
    assert int(tokens.ends.max()) == len(text.rstrip())
