"""One ranking over several passages is that of all their spans, as if each passage had been searched alone."""

import asyncio
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.document import Document
from serve.qa.features import Featurizer, Window, WindowLimits
from serve.qa.ranking.passages import PassagesPlan, encode_passages, in_passages
from serve.qa.spans import Logits, SpanRules, SpanSearch, rank
from serve.qa.types import Question

TOKENIZER = Path(__file__).parents[4] / "models" / "demo" / "tokenizer.json"
FEATURIZER = Featurizer(TOKENIZER)
LIMITS = WindowLimits(16, 4, 8)
QUESTION = FEATURIZER.encode_question("Who built it?", LIMITS)
WORDS = st.sampled_from(["ship", "Zoë", "42", "harbour-master", "e\u0301", "日本", "\u200b", "🚢", ".", "of"])
PASSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=30).map(" ".join), min_size=1, max_size=6)


async def no_wait() -> None:
    pass


def prepared(passages: list[str]) -> tuple[Document, PassagesPlan, tuple[int, ...]]:
    ends = tuple(accumulate(map(len, passages)))
    question = Question("Who built it?", "".join(passages), passage_ends=ends)
    document, tokens = asyncio.run(encode_passages(FEATURIZER, question, 10**6, no_wait))
    return document, PassagesPlan.of(FEATURIZER.plan(QUESTION, document, LIMITS), tokens), ends


def logits_of(window: Window, whole: bool) -> Logits:
    """Logits that depend only on what the window holds, as those of a model."""
    numbers = np.random.default_rng(window.input_ids.astype(np.uint32))
    start, end = numbers.normal(0, 4, (2, len(window.input_ids))).astype(np.float32)
    return (np.round(start / 3), np.round(end / 3)) if whole else (start, end)


@settings(database=None, deadline=None, max_examples=150)
@given(PASSAGES, st.integers(1, 8), st.booleans(), st.booleans(), st.booleans())
def test_the_ranking_is_that_of_the_passages_searched_alone(
    passages: list[str], top_k: int, handle_impossible: bool, align: bool, whole: bool
) -> None:
    rules = SpanRules(top_k, 10, handle_impossible, align, returns_logits=True)
    document, plan, ends = prepared(passages)
    windows = list(plan.windows(document))
    assert len(windows) == plan.count == sum(part.count for part in plan.parts)
    search = SpanSearch(document, min(plan.capacity, plan.tokens), rules)
    for window in windows:
        search.add(window, logits_of(window, whole))
    found = in_passages(search.answers("".join(passages)), ends)

    alone = replace(rules, top_k=10_000, handle_impossible_answer=False)
    candidates, weights, nulls = [], [], []
    for index, passage in enumerate(passages):
        context = FEATURIZER.encode_context(passage)
        own = FEATURIZER.windows(QUESTION, context, LIMITS)
        logits = [logits_of(window, whole) for window in own]
        if len(context) or not len(document):  # a passage without tokens has no window
            nulls += [float(start[0] + end[0]) for start, end in logits]
        spans = rank(passage, context, own, logits, alone)
        weights += [_logit(each) for each in rank(passage, context, own, logits, replace(alone, align_to_words=False))]
        candidates += [(_logit(each), index, each.start, each.end) for each in spans]
    candidates = [each for each in candidates if each[0] > -np.inf]
    if handle_impossible:
        candidates.append((min(nulls), len(passages), 0, 0))
    candidates.sort(key=lambda each: -each[0])
    places = [(index % len(passages), start, end) for _, index, start, end in candidates[:top_k]]
    if candidates:
        assert [_place(answer) for answer in found] == places
        assert [_logit(answer) for answer in found] == [logit for logit, *_ in candidates[:top_k]]
    assert all(passages[_place(each)[0]][each.start : each.end] == each.answer for each in found)
    finite = np.array([weight for weight in weights if weight > -np.inf] + (nulls and [min(nulls)]) * handle_impossible)
    if not whole and candidates:  # spans of tokens with the same place and other logits are rare then
        total = np.exp(finite - candidates[0][0]).sum()
        assert found[0].score <= 1
        assert found[0].score == pytest.approx(1 / total, rel=0.05)


def _logit(answer: object) -> float:
    value = (answer.details or {})["logit"]  # type: ignore[attr-defined]
    return -np.inf if value is None else float(value)


def _place(answer: object) -> tuple[int, int, int]:
    return (answer.details or {})["context_index"], answer.start, answer.end  # type: ignore[attr-defined]


def test_no_window_holds_tokens_of_two_passages() -> None:
    passages = ["one two three " * 5, "\u200b", "four", "five six " * 20]
    document, plan, ends = prepared(passages)
    starts = document.whole.starts
    owners = []
    for window in plan.windows(document):
        first, last = window.first_token, window.first_token + window.context_tokens - 1
        if last >= first:
            owner = {int(np.searchsorted(ends, starts[token], side="right")) for token in (first, last)}
            assert len(owner) == 1
            owners += owner
    assert owners == sorted(owners)
    assert set(owners) == {0, 2, 3}
    assert [part.tokens for part in plan.parts] == [15, 1, 40]  # the passage without tokens has no window


def test_passages_need_the_windows_that_they_need_alone() -> None:
    passages = ["one two three " * 5, "four", "five six " * 20]
    document, plan, _ = prepared(passages)
    together = [(window.input_ids.tolist(), window.context_offset) for window in plan.windows(document)]
    alone = [
        (window.input_ids.tolist(), window.context_offset)
        for passage in passages
        for window in FEATURIZER.windows(QUESTION, FEATURIZER.encode_context(passage), LIMITS)
    ]
    assert together == alone
