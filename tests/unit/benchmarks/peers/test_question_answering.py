"""The peers cut windows and find answers as our server does. These tests start no server and make no environment."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.question_answering import DOC_STRIDE, MAX_ANSWER_LEN, MAX_SEQ_LEN, Reader, tensors
from serve.qa.features import Featurizer, WindowLimits
from serve.qa.spans import SpanRules, rank

TOKENIZER = Path("models/demo/tokenizer.json")
LIMITS = WindowLimits(MAX_SEQ_LEN, DOC_STRIDE, max_question_len=64)
RULES = SpanRules(top_k=1, max_answer_len=MAX_ANSWER_LEN, handle_impossible_answer=False, align_to_words=False)
QUESTION = "Who built the lighthouse?"


@pytest.mark.parametrize("sentences", [1, 40, 120])
def test_peers_cut_the_same_windows_and_find_the_same_spans_as_our_server(sentences: int) -> None:
    context = "The lighthouse at Cape Arden was built in 1871 by Zoë Müller. " * sentences
    reader, featurizer = Reader(TOKENIZER), Featurizer(TOKENIZER)
    document = featurizer.encode_context(context)
    ours = featurizer.windows(featurizer.encode_question(QUESTION, LIMITS), document, LIMITS)
    theirs = reader.windows(QUESTION, context)
    assert [window.input_ids.tolist() for window in ours] == [window.ids for window in theirs]
    numbers = np.random.default_rng(sentences)
    logits = [tuple(numbers.normal(size=(2, len(window.ids))).astype(np.float32)) for window in theirs]
    (expected,) = rank(context, document, ours, logits, RULES)
    found = reader.answer(context, theirs, logits)
    assert (found["answer"], found["start"], found["end"]) == (expected.answer, expected.start, expected.end)


def test_a_context_without_tokens_has_the_empty_answer() -> None:
    reader = Reader(TOKENIZER)
    (window,) = windows = reader.windows(QUESTION, " ")
    logits = np.zeros((2, len(window.ids)), dtype=np.float32)
    assert reader.answer(" ", windows, [tuple(logits)])["answer"] == ""


def test_tensors_tell_question_from_context() -> None:
    (window,) = Reader(TOKENIZER).windows("a", "b")
    assert tensors(window)["token_type_ids"].tolist() == [[0, 0, 0, 1, 1]]
    assert {array.dtype for array in tensors(window).values()} == {np.dtype(np.int64)}
