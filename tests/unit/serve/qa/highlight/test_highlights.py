"""The scores of sentences are sums over all spans, and highlights have the places of their sentences."""

import asyncio
import math
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container.tasks.names import OffsetUnit
from serve.qa.document import Document, Tokens
from serve.qa.features import Featurizer, Window, WindowLimits
from serve.qa.highlight.highlights import cut_sentences, highlights_of, in_units
from serve.qa.highlight.sentence_scores import SentenceScores
from serve.qa.ranking.calibration import Calibration
from serve.qa.ranking.passages import PassagesPlan, encode_passages
from serve.qa.spans import Logits, SpanRules, SpanSearch
from serve.qa.types import Highlight, Highlighting, Parameters, Question

FEATURIZER = Featurizer(Path(__file__).parents[5] / "models" / "demo" / "tokenizer.json")
LIMITS = WindowLimits(24, 6, 8)
QUESTION = FEATURIZER.encode_question("Who built it?", LIMITS)
RULES = SpanRules(1, 4, handle_impossible_answer=True, align_to_words=False)
ALL = Highlighting(0.0, 100, "code_points")
WORDS = st.sampled_from(["ship", "Zoë", "It rained.", "Why? ", "🚢.", "\n", "日本。", "x", "Dr. No"])
PASSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=25).map(" ".join), min_size=1, max_size=4)


async def no_wait() -> None:
    pass


def logits_of(window: Window) -> Logits:
    numbers = np.random.default_rng(window.input_ids.astype(np.uint32))
    start, end = numbers.normal(0, 3, (2, len(window.input_ids))).astype(np.float32)
    return start, end


class Searched:
    """Passages that were searched, with logits that depend only on what a window holds."""

    def __init__(self, passages: list[str], rules: SpanRules = RULES, highlight: Highlighting = ALL) -> None:
        ends = tuple(accumulate(map(len, passages)))
        self.question = Question("?", "".join(passages), None, Parameters(highlight=highlight), passage_ends=ends)
        self.document, tokens = asyncio.run(encode_passages(FEATURIZER, self.question, 10**6, no_wait))
        plan = PassagesPlan.of(FEATURIZER.plan(QUESTION, self.document, LIMITS), tokens)
        sentence_ends = asyncio.run(cut_sentences(self.question, no_wait))
        assert sentence_ends is not None
        self.scores = scores = SentenceScores(self.document, sentence_ends)
        self.windows = list(plan.windows(self.document))
        search = SpanSearch(self.document, min(plan.capacity, plan.tokens), rules, scores)
        for window in self.windows:
            search.add(window, logits_of(window))
        self.answers = search.answers(self.question.context)
        self.total = search.total_weight

    @property
    def highlights(self) -> list[Highlight]:
        rules = self.question.parameters.highlight
        assert rules
        best = self.scores.best(self.total, rules.threshold, rules.sentences)
        return highlights_of(self.question, self.scores.ends, best) if self.answers[0].answer else []


def expected_scores(searched: Searched, temperature: float) -> np.ndarray:
    """The scores by their definition: a loop over all spans of all windows, of which each counts once."""
    best: dict[tuple[int, int], float] = {}
    null = math.inf
    for window in searched.windows:
        start, end = logits_of(window)
        null = min(null, float(start[0] + end[0]))
        for i in range(window.context_tokens):
            for j in range(i, min(i + RULES.max_answer_len, window.context_tokens)):
                span = window.first_token + i, window.first_token + j
                logit = float(start[window.context_offset + i] + end[window.context_offset + j])
                best[span] = max(best.get(span, -math.inf), logit)
    top = max([null, *best.values()])
    weights = {span: math.exp((logit - top) / temperature) for span, logit in best.items()}
    total = sum(weights.values()) + math.exp((null - top) / temperature)
    tokens = searched.document.whole
    scores = np.zeros(len(searched.scores.ends))
    for (first, last), weight in weights.items():
        bounds = tokens.starts[first], tokens.ends[last] - 1
        sentence, of_last = np.searchsorted(searched.scores.ends, bounds, side="right")
        if sentence == of_last:
            scores[sentence] += weight / total
    return scores


@settings(database=None, deadline=None, max_examples=100)
@given(PASSAGES, st.sampled_from([1.0, 2.5]))
def test_a_score_is_the_sum_of_the_probabilities_of_all_spans_in_the_sentence(
    passages: list[str], temperature: float
) -> None:
    searched = Searched(passages, replace(RULES, calibration=Calibration.of(temperature, 0.5)))
    expected = expected_scores(searched, temperature)
    found = dict(searched.scores.best(searched.total, 0.0, 10_000))
    assert [found.get(index, 0.0) for index in range(len(expected))] == pytest.approx(expected, rel=1e-4, abs=1e-6)


@settings(database=None, deadline=None, max_examples=100)
@given(PASSAGES, st.integers(1, 5), st.sampled_from(get_args(OffsetUnit)))
def test_highlights_are_sentences_in_the_order_of_the_text(passages: list[str], count: int, unit: OffsetUnit) -> None:
    everything = Searched(passages).highlights
    found = Searched(passages, highlight=Highlighting(0.01, count, unit)).highlights
    assert len(found) <= count
    places = [(each.context_index, each.start) for each in found]
    assert places == sorted(set(places))
    for each in found:
        assert each.score >= 0.01
        passage = passages[each.context_index]
        coded = {"code_points": passage, "utf16": passage.encode("utf-16-le"), "bytes": passage.encode()}[unit]
        width = 2 if unit == "utf16" else 1
        text = coded[each.start * width : each.end * width]
        encoding = "utf-16-le" if unit == "utf16" else "utf-8"
        assert (text if isinstance(text, str) else text.decode(encoding)) == each.text == each.text.strip() != ""
    chosen = {(each.context_index, each.position) for each in found}
    others = [each.score for each in everything if (each.context_index, each.position) not in chosen]
    assert max((score for score in others if score >= 0.01), default=0.0) <= min(
        (each.score for each in found), default=1.0
    )


def test_a_sentence_that_stands_five_times_has_five_places() -> None:
    text = "The ship came in. It rained all day. " * 5
    found = [each for each in Searched([text]).highlights if each.text == "The ship came in."]
    assert [(each.start, each.position) for each in found] == [(37 * index, 2 * index) for index in range(5)]


def test_memory_and_blocks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    passages = ["The ship came in. It rained all day. Who knows? " * 20, "A lamp. " * 30]
    whole = Searched(passages)
    monkeypatch.setattr("serve.qa.spans.BLOCK_CELLS", 1)
    parts = Searched(passages)
    assert [replace(each, score=0.0) for each in parts.highlights] == [
        replace(each, score=0.0) for each in whole.highlights
    ]
    assert [each.score for each in parts.highlights] == pytest.approx([each.score for each in whole.highlights])


def test_the_empty_answer_takes_its_share_and_can_win() -> None:
    alone = Searched(["The ship came in. It rained."], replace(RULES, handle_impossible_answer=False))
    shared = Searched(["The ship came in. It rained."])
    assert shared.total > alone.total
    wins = Searched(["The ship came in. It rained."], replace(RULES, no_answer_threshold=-1000.0))
    assert (wins.answers[0].answer, wins.highlights) == ("", [])


def test_a_text_without_tokens_has_no_highlights() -> None:
    assert Searched(["\u200b"]).highlights == []


def test_a_span_may_end_with_a_token_of_white_space_before_the_next_sentence() -> None:
    starts, ends = np.array([(0, 3), (3, 4), (5, 4), (5, 8), (8, 9)], dtype=np.int32).T  # of: One . _ Two .
    tokens = Tokens(np.arange(5, dtype=np.int32), starts, ends, starts, ends)
    scores = SentenceScores(Document([tokens], has_blanks=True), np.array([5, 9], dtype=np.int32))
    rows = [[1, 10], [100, 1000], [0, 2], [20, 200], [2000, 0]]  # 1000 is that of "._", and 2 that of "_Two"
    scores.add(0, np.array(rows, dtype=np.float32))
    assert dict(scores.best(10_000.0, 0.0, 5)) == pytest.approx({0: 0.1111, 1: 0.2222})


def test_a_sentence_of_separators_alone_has_no_highlight() -> None:
    question = Question("?", "Zoë did. \x1c", None, Parameters(highlight=ALL), passage_ends=(9, 10))
    ends = np.array([9, 10], dtype=np.int32)
    assert highlights_of(question, ends, [(0, 0.5), (1, 0.5)]) == [Highlight(0, 8, "Zoë did.", 0.5, 0, 0)]


def test_an_empty_text_has_no_sentences() -> None:
    ends = asyncio.run(cut_sentences(Question("?", "", None, Parameters(highlight=ALL)), no_wait))
    assert ends is not None
    assert (len(ends), SentenceScores(Document([]), ends).best(1.0, 0.0, 5)) == (0, [])


def test_a_question_for_answers_has_no_scores() -> None:
    question = Question("?", "A text.")
    assert asyncio.run(cut_sentences(question, no_wait)) is None


def test_the_largest_logits_do_not_overflow() -> None:
    scores = SentenceScores(Document([]), np.array([3], dtype=np.int32))
    search = SpanSearch(FEATURIZER.encode_context("one two"), 2, RULES, scores)
    window = FEATURIZER.windows(QUESTION, FEATURIZER.encode_context("one two"), LIMITS)[0]
    start = np.full(len(window.input_ids), -3e4, dtype=np.float32)
    start[0] = 3e4
    search.add(window, (start, start))
    assert search.answers("one two")[0].answer == ""
    assert math.isfinite(search.total_weight)


@pytest.mark.parametrize(
    ("unit", "expected"), [("code_points", [0, 2, 3, 5]), ("utf16", [0, 3, 4, 6]), ("bytes", [0, 5, 7, 11])]
)
def test_offsets_are_converted(unit: OffsetUnit, expected: list[int]) -> None:
    assert in_units("xxa🚢ëb日", 2, [0, 2, 3, 5], unit) == [0, *expected[1:]]
