"""The scores of sentences are the means of their tokens' probabilities, each from the window with the most context."""

import asyncio
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.errors import InferenceFailed
from serve.qa.document import Document, Tokens
from serve.qa.features import Featurizer, Window, WindowLimits
from serve.qa.highlight.highlights import cut_sentences
from serve.qa.highlight.token_relevance import Logits, TokenRelevance, probabilities
from serve.qa.ranking.answer_room import AnswerRoom
from serve.qa.ranking.passages import PassagesPlan, encode_passages
from serve.qa.ranking.question_search import RelevantSentences
from serve.qa.types import Highlighting, Parameters, Question

FEATURIZER = Featurizer(Path(__file__).parents[5] / "models" / "demo" / "tokenizer.json")
LIMITS = WindowLimits(24, 9, 8)  # a token can lie in three windows
QUESTION = FEATURIZER.encode_question("Who built it?", LIMITS)
WORDS = st.sampled_from(["ship", "Zoë", "It rained.", "Why? ", "🚢.", "\n", "日本。", "x", "Dr. No", "\x00"])
PASSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=25).map(" ".join), min_size=1, max_size=4)


async def no_wait() -> None:
    pass


def logits_of(window: Window) -> Logits:
    numbers = np.random.default_rng(window.input_ids.astype(np.uint32))
    other, relevant = numbers.normal(0, 3, (2, len(window.input_ids))).astype(np.float32)
    return other, relevant


class Passages:
    """Some passages with their windows, and a question that asks for highlights."""

    def __init__(self, passages: list[str], highlight: Highlighting) -> None:
        ends = tuple(accumulate(map(len, passages)))
        self.question = Question("?", "".join(passages), None, Parameters(highlight=highlight), passage_ends=ends)
        self.document, tokens = asyncio.run(encode_passages(FEATURIZER, self.question, 10**6, no_wait))
        plan = PassagesPlan.of(FEATURIZER.plan(QUESTION, self.document, LIMITS), tokens)
        self.windows = list(plan.windows(self.document))
        sentences = asyncio.run(cut_sentences(self.question, no_wait))
        assert sentences is not None
        self.ends = sentences

    def scores(self) -> dict[int, float]:
        found = TokenRelevance(self.document, self.ends)
        for window in self.windows:
            found.add(window, logits_of(window))
        return dict(found.best(0.0, len(self.ends)))


def expected(passages: Passages) -> dict[int, float]:
    """The scores by their definition: a loop over all tokens and all windows."""
    tokens = passages.document.whole
    of_sentences: dict[int, list[float]] = {}
    for token, (start, end) in enumerate(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)):
        best: tuple[float, float] | None = None
        for window in passages.windows:
            left, right = token - window.first_token, window.first_token + window.context_tokens - 1 - token
            if min(left, right) < 0:
                continue
            context = min(left, right) + 0.01 * window.context_tokens
            if best is None or context > best[0]:
                at = window.context_offset + left
                other, relevant = (np.exp(float(logits[at])) for logits in logits_of(window))
                best = context, relevant / (other + relevant)
        assert best is not None
        if end > start:
            sentence = int(np.searchsorted(passages.ends, start, side="right"))
            of_sentences.setdefault(sentence, []).append(best[1])
    return {sentence: float(np.mean(found)) for sentence, found in of_sentences.items()}


@given(PASSAGES)
@settings(deadline=None, max_examples=60)
def test_a_score_is_the_mean_over_the_tokens_of_a_sentence(texts: list[str]) -> None:
    passages = Passages(texts, Highlighting(0.0, 100, "code_points"))
    assert passages.scores() == pytest.approx(expected(passages), abs=1e-9)


def test_blocks_do_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    passages = Passages(
        ["The ship came in. It rained all day. " * 20, "A lamp. " * 30], Highlighting(0.0, 100, "code_points")
    )
    whole = passages.scores()
    assert len(whole) == 70
    monkeypatch.setattr("serve.qa.highlight.token_relevance.BLOCK_TOKENS", 1)
    assert passages.scores() == pytest.approx(whole)


@given(PASSAGES, st.integers(1, 4), st.sampled_from([0.0, 0.4, 0.6]))
@settings(deadline=None, max_examples=40)
def test_the_highlights_are_the_best_sentences_in_the_order_of_the_text(
    texts: list[str], count: int, threshold: float
) -> None:
    passages = Passages(texts, Highlighting(threshold, count, "code_points"))
    search = RelevantSentences(passages.question, passages.document, passages.ends)
    for window in passages.windows:
        search.add(window, logits_of(window))
    found = search.found(AnswerRoom([passages.question]))
    assert found.answers == []
    assert found.highlights is not None
    places = [(each.context_index, each.start) for each in found.highlights]
    assert places == sorted(set(places))
    assert all(texts[each.context_index][each.start : each.end] == each.text for each in found.highlights)
    best = sorted((score for score in passages.scores().values() if score >= threshold), reverse=True)[:count]
    assert sorted((each.score for each in found.highlights), reverse=True) == pytest.approx(best)
    again = search.chooser(passages.windows)([logits_of(window) for window in passages.windows])
    assert again == found.chosen
    assert len(again.places) == len(found.highlights)


def test_a_token_of_white_space_alone_belongs_to_no_sentence() -> None:
    starts, ends = np.array([(0, 3), (3, 4), (5, 4), (5, 8), (8, 9), (9, 9)], dtype=np.int32).T  # of: One . _ Two . _
    document = Document([Tokens(np.arange(6, dtype=np.int32), starts, ends, starts, ends)], has_blanks=True)
    scores = TokenRelevance(document, np.array([5, 9], dtype=np.int32))
    window = Window(np.arange(8, dtype=np.int32), 1, 0)
    relevant = np.array([0, 100, -100, 100, 100, 100, 100, 0], dtype=np.float32)
    scores.add(window, (np.zeros(8, dtype=np.float32), relevant))
    assert dict(scores.best(0.0, 5)) == pytest.approx({0: 0.5, 1: 1.0})


def test_a_text_without_tokens_has_no_highlights() -> None:
    assert Passages(["\u200b"], Highlighting(0.0, 5, "code_points")).scores() == {}


def test_the_largest_logits_do_not_overflow() -> None:
    large = np.array([3e38, -3e38, 0], dtype=np.float32)
    assert probabilities(-large, large).tolist() == [1.0, 0.0, 0.5]


def test_a_logit_that_is_not_finite_is_an_error() -> None:
    passages = Passages(["A lamp."], Highlighting(0.0, 5, "code_points"))
    other, relevant = logits_of(passages.windows[0])
    relevant[3] = np.nan
    with pytest.raises(InferenceFailed):
        TokenRelevance(passages.document, passages.ends).add(passages.windows[0], (other, relevant))
