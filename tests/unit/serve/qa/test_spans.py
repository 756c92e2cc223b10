"""Logits -> ranked answers, held against a search that is slow and plain."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.errors import InferenceFailed, PayloadTooLarge
from serve.qa.document import Document, Tokens
from serve.qa.features import Window
from serve.qa.ranking.answer_room import AnswerRoom
from serve.qa.spans import Logits, SpanRules, SpanSearch, rank
from serve.qa.types import Answer, Question

QUESTION_TOKENS = 4
OFFSET = QUESTION_TOKENS + 2  # [CLS] question [SEP]
PLAIN = SpanRules(top_k=1, max_answer_len=30, handle_impossible_answer=False, align_to_words=False)


def text_and_document(word_sizes: Sequence[int]) -> tuple[str, Document]:
    """A context of words of so many tokens each; a token is two letters, words are a space apart."""
    context = ""
    places: list[tuple[int, int, int, int]] = []
    for number, size in enumerate(word_sizes):
        begin = len(context)
        for token in range(size):
            places.append((begin + 2 * token, begin + 2 * token + 2, begin, begin + 2 * size))
        context += chr(ord("a") + number % 26) * 2 * size + " "
    columns = np.array(places, dtype=np.int32).reshape(-1, 4).T
    return context, Document([Tokens(np.zeros(len(places), dtype=np.int32), *columns)])


def cut(tokens: int, capacity: int, overlap: int) -> list[Window]:
    """Windows of so many context tokens over a document."""
    first_tokens = [0]
    while first_tokens[-1] + capacity < tokens:
        first_tokens.append(first_tokens[-1] + capacity - overlap)
    return [
        Window(np.zeros(OFFSET + min(capacity, tokens - first) + 1, dtype=np.int32), OFFSET, first)
        for first in first_tokens
    ]


def flat(windows: Sequence[Window], logit: float = -10.0) -> list[Logits]:
    return [
        (np.full(len(window.input_ids), logit, np.float32), np.full(len(window.input_ids), logit, np.float32))
        for window in windows
    ]


def random_logits(windows: Sequence[Window], seed: int, *, whole: bool = False) -> list[Logits]:
    """Logits of a spread as a model's; whole numbers make many spans equal."""
    numbers = np.random.default_rng(seed)
    pairs = [numbers.normal(0, 4, (2, len(window.input_ids))).astype(np.float32) for window in windows]
    return [(np.round(start), np.round(end)) if whole else (start, end) for start, end in pairs]


def reference(
    document: Document, windows: Sequence[Window], logits: Sequence[Logits], rules: SpanRules
) -> dict[tuple[int, int], float]:
    """Every answer's probability by its place in the context, by looking at each span of each window."""
    spans: dict[tuple[int, int], float] = {}  # first and last token
    for window, (start, end) in zip(windows, logits, strict=True):
        for i in range(window.context_tokens):
            for j in range(i, min(i + rules.max_answer_len, window.context_tokens)):
                key = window.first_token + i, window.first_token + j
                logit = float(start[OFFSET + i] + end[OFFSET + j])
                spans[key] = max(logit, spans.get(key, -math.inf))
    null = min(float(start[0] + end[0]) for start, end in logits)
    candidates = [*spans.values(), *([null] if rules.handle_impossible_answer else [])]
    best = max(candidates)
    total = sum(math.exp(logit - best) for logit in candidates)
    tokens = document.whole
    starts, ends = tokens.starts, tokens.ends
    if rules.align_to_words:
        starts, ends = tokens.word_starts, tokens.word_ends
    answers: dict[tuple[int, int], float] = {(0, 0): null} if rules.handle_impossible_answer else {}
    for (first, last), logit in spans.items():
        place = int(starts[first]), int(ends[last])
        answers[place] = max(logit, answers.get(place, -math.inf))
    return {place: math.exp(logit - best) / total for place, logit in answers.items()}


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], int, int, int, bool, SpanRules]:
    """Sizes of words, capacity and overlap of windows, seed, whole logits, rules; 1 to 4 windows."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=25))
    tokens = sum(sizes)
    capacity = draw(st.integers(-(-tokens // 2), tokens + 3))
    overlap = draw(st.integers(0, (2 * capacity) // 3 if capacity > 2 else 0))
    rules = SpanRules(draw(st.integers(1, 10)), draw(st.integers(1, 30)), draw(st.booleans()), draw(st.booleans()))
    return sizes, capacity, overlap, draw(st.integers(0, 2**32)), draw(st.booleans()), rules


@settings(database=None, deadline=None, max_examples=300)
@given(cases())
def test_answers_equal_those_of_an_exhaustive_search(
    case: tuple[list[int], int, int, int, bool, SpanRules],
) -> None:
    sizes, capacity, overlap, seed, whole, rules = case
    context, document = text_and_document(sizes)
    windows = cut(len(document), capacity, overlap)
    assert 1 <= len(windows) <= 4
    logits = random_logits(windows, seed, whole=whole)
    answers = rank(context, document, windows, logits, rules)
    expected = reference(document, windows, logits, rules)

    assert [answer.score for answer in answers] == pytest.approx(
        sorted(expected.values(), reverse=True)[: rules.top_k], rel=1e-5
    )
    assert len(answers) == min(rules.top_k, len(expected))
    assert len({(answer.start, answer.end) for answer in answers}) == len(answers)
    for answer in answers:
        assert answer.score == pytest.approx(expected[answer.start, answer.end], rel=1e-5)
        assert context[answer.start : answer.end] == answer.answer


@settings(database=None, deadline=None, max_examples=200)
@given(cases())
def test_scores_are_probabilities_best_first(case: tuple[list[int], int, int, int, bool, SpanRules]) -> None:
    sizes, capacity, overlap, seed, whole, rules = case
    context, document = text_and_document(sizes)
    windows = cut(len(document), capacity, overlap)
    everything = replace(rules, top_k=100)
    answers = rank(context, document, windows, random_logits(windows, seed, whole=whole), everything)
    scores = [answer.score for answer in answers]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) <= 1 + 1e-6  # float32 sums


@pytest.mark.parametrize("words", [1, 40, 384, 2000])
def test_the_scores_of_all_answers_add_up_to_one(words: int) -> None:
    context, document = text_and_document([1] * words)
    windows = cut(words, 384, 128)
    rules = SpanRules(words, 1, True, True)
    answers = rank(context, document, windows, random_logits(windows, words), replace(rules, top_k=words + 1))
    assert len(answers) == words + 1
    assert sum(answer.score for answer in answers) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("align_to_words", [True, False])
def test_an_answer_is_widened_to_whole_words_only_when_asked(align_to_words: bool) -> None:
    context, document = text_and_document([3, 4, 2])
    windows = cut(9, 20, 0)
    logits = flat(windows)
    logits[0][0][OFFSET + 4] = logits[0][1][OFFSET + 5] = 10  # the two middle tokens of the second word
    answer = rank(context, document, windows, logits, replace(PLAIN, align_to_words=align_to_words))[0]
    assert (answer.answer, answer.start) == (("bbbbbbbb", 7) if align_to_words else ("bbbb", 9))


@pytest.mark.parametrize("top_k", [1, 2, 5, 10])
def test_top_k_answers_come_back_although_the_best_spans_are_all_one_word(top_k: int) -> None:
    context, document = text_and_document([20, *[1] * 15])
    windows = cut(35, 50, 0)
    logits = flat(windows)
    for part in logits[0]:
        part[OFFSET : OFFSET + 20] = 10  # 210 spans within the first word come before any other
    rules = SpanRules(top_k, 30, False, True)
    answers = rank(context, document, windows, logits, rules)
    assert len(answers) == top_k
    assert answers[0].answer == "a" * 40
    assert len({(answer.start, answer.end) for answer in answers}) == top_k


def test_spans_that_widen_to_the_same_words_do_not_add_their_scores() -> None:
    context, document = text_and_document([2])
    windows = cut(2, 10, 0)
    [answer] = rank(context, document, windows, flat(windows), SpanRules(10, 30, False, True))
    assert (answer.answer, answer.start, answer.end) == ("aaaa", 0, 4)
    assert answer.score == pytest.approx(1 / 3)  # of three spans, all alike


def test_a_document_with_fewer_spans_than_top_k_gives_them_all() -> None:
    context, document = text_and_document([1, 1])
    windows = cut(2, 10, 0)
    answers = rank(context, document, windows, flat(windows), SpanRules(10, 30, False, False))
    assert sorted(answer.answer for answer in answers) == ["aa", "aa bb", "bb"]


@pytest.mark.parametrize("max_answer_len", [1, 2, 5, 29, 30])
def test_an_answer_has_at_most_max_answer_len_tokens(max_answer_len: int) -> None:
    context, document = text_and_document([1] * 40)
    windows = cut(40, 50, 0)
    logits = flat(windows)
    logits[0][0][OFFSET + 3] = logits[0][1][OFFSET + 3 + max_answer_len - 1] = 5
    logits[0][1][OFFSET + 3 + max_answer_len] = 20  # a better end, one token too far
    rules = replace(PLAIN, max_answer_len=max_answer_len, top_k=10)
    answers = rank(context, document, windows, logits, rules)
    assert all(len(answer.answer.split()) <= max_answer_len for answer in answers)
    best_end_too_far = context[document.whole.starts[3] : document.whole.ends[3 + max_answer_len]]
    assert best_end_too_far not in [answer.answer for answer in answers]


def test_an_answer_never_ends_before_it_starts() -> None:
    context, document = text_and_document([1] * 10)
    windows = cut(10, 20, 0)
    logits = flat(windows)
    logits[0][0][OFFSET + 7] = logits[0][1][OFFSET + 2] = 10
    answers = rank(context, document, windows, logits, replace(PLAIN, top_k=10))
    assert all(answer.start < answer.end for answer in answers)
    assert answers[0].score < 0.5


@pytest.mark.parametrize("handle_impossible_answer", [True, False])
def test_an_answer_never_comes_from_the_question_or_the_special_tokens(handle_impossible_answer: bool) -> None:
    context, document = text_and_document([1] * 20)
    windows = cut(20, 8, 3)
    logits = flat(windows)
    for window, (start, end) in zip(windows, logits, strict=True):
        for part in (start, end):
            part[1 : window.context_offset] = part[-1] = 50  # question, [SEP], [SEP]
    logits[1][0][OFFSET + 2] = logits[1][1][OFFSET + 3] = 5
    token = windows[1].first_token + 2
    rules = replace(PLAIN, handle_impossible_answer=handle_impossible_answer)
    [answer] = rank(context, document, windows, logits, rules)
    assert (answer.start, answer.end) == (document.whole.starts[token], document.whole.ends[token + 1])
    assert answer.score > 0.99


def test_a_certain_answer_that_two_windows_contain_is_certain() -> None:
    context, document = text_and_document([1] * 12)
    windows = cut(12, 8, 4)
    assert [window.first_token for window in windows] == [0, 4]
    logits = flat(windows)
    for window, (start, end) in zip(windows, logits, strict=True):
        start[OFFSET + 5 - window.first_token] = end[OFFSET + 6 - window.first_token] = 10
    [answer] = rank(context, document, windows, logits, PLAIN)
    assert answer.answer == "ff gg"
    assert answer.score > 0.999


@pytest.mark.parametrize("surer", [0, 1])
def test_the_better_sum_of_two_windows_counts(surer: int) -> None:
    context, document = text_and_document([1] * 12)
    windows = cut(12, 8, 4)
    logits = flat(windows, 0)
    for number, (window, (start, end)) in enumerate(zip(windows, logits, strict=True)):
        place = OFFSET + 5 - window.first_token  # the same token in both
        start[place] = end[place] = 8 if number == surer else -8
    [answer] = rank(context, document, windows, logits, PLAIN)
    assert answer.answer == "ff"
    assert answer.score > 0.98


def test_a_span_that_no_window_holds_whole_is_no_answer() -> None:
    context, document = text_and_document([1] * 8)
    windows = cut(8, 4, 0)
    logits = flat(windows)
    logits[0][0][OFFSET + 3] = logits[1][1][OFFSET] = 20  # starts at the end of one, ends at the start of the next
    answers = rank(context, document, windows, logits, replace(PLAIN, top_k=100))
    assert len(answers) == 2 * (4 + 3 + 2 + 1)
    assert "dd ee" not in [answer.answer for answer in answers]


def no_answer_case(*null_logits: float) -> tuple[str, Document, list[Window], list[Logits]]:
    context, document = text_and_document([1] * 12)
    windows = cut(12, 8, 4)
    logits = flat(windows)
    logits[0][0][OFFSET] = logits[0][1][OFFSET] = 3
    for (start, end), null in zip(logits, null_logits, strict=True):
        start[0] = end[0] = null
    return context, document, windows, logits


def test_no_answer_wins_where_every_window_prefers_it() -> None:
    case = no_answer_case(9, 8)
    [answer] = rank(*case, replace(PLAIN, handle_impossible_answer=True))
    assert (answer.answer, answer.start, answer.end) == ("", 0, 0)
    assert answer.score > 0.99


def test_no_answer_loses_where_one_window_contains_an_answer() -> None:
    case = no_answer_case(-9, 9)
    answers = rank(*case, replace(PLAIN, handle_impossible_answer=True, top_k=100))
    assert answers[0].answer == "aa"
    assert [answer.answer for answer in answers].count("") == 1


def test_no_answer_does_not_compete_unless_asked() -> None:
    case = no_answer_case(9, 9)
    answers = rank(*case, replace(PLAIN, top_k=100))
    assert all(answer.answer for answer in answers)
    assert answers[0].score > 0.99


@pytest.mark.parametrize("top_k", [1, 5])
def test_a_context_without_tokens_has_the_empty_answer_with_score_0(top_k: int) -> None:
    _, document = text_and_document([])
    windows = cut(0, 8, 4)
    assert rank("\u200b", document, windows, flat(windows), replace(PLAIN, top_k=top_k)) == [Answer("", 0.0, 0, 0)]


@pytest.mark.parametrize("top_k", [1, 5])
def test_a_context_without_tokens_has_no_answer_with_score_1_where_no_answer_competes(top_k: int) -> None:
    _, document = text_and_document([])
    windows = cut(0, 8, 4)
    rules = replace(PLAIN, top_k=top_k, handle_impossible_answer=True)
    assert rank("\u200b", document, windows, flat(windows), rules) == [Answer("", 1.0, 0, 0)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", [0, 1], ids=["start", "end"])
@pytest.mark.parametrize("position", [0, 2, OFFSET, OFFSET + 3, -1])
def test_a_logit_that_is_nan_or_infinity_is_a_failure(bad: float, part: int, position: int) -> None:
    context, document = text_and_document([1] * 12)
    windows = cut(12, 8, 4)
    logits = flat(windows)
    logits[1][part][position] = bad
    with pytest.raises(InferenceFailed, match="NaN or infinity"):
        rank(context, document, windows, logits, PLAIN)


def test_large_logits_do_not_overflow() -> None:
    context, document = text_and_document([1] * 5)
    windows = cut(5, 8, 4)
    logits = flat(windows, -1e30)
    logits[0][0][OFFSET + 1] = logits[0][1][OFFSET + 1] = 1e30
    assert rank(context, document, windows, logits, PLAIN) == [Answer("bb", 1.0, 3, 5)]


def test_ranking_does_not_change_the_logits() -> None:
    context, document = text_and_document([2, 1, 3, 1, 1, 2])
    windows = cut(10, 8, 4)
    logits = random_logits(windows, 1)
    before = [(start.copy(), end.copy()) for start, end in logits]
    rank(context, document, windows, logits, SpanRules(5, 4, True, True))
    assert all((a == b).all() for now, then in zip(logits, before, strict=True) for a, b in zip(now, then, strict=True))


def test_answers_that_need_much_more_memory_than_their_request_are_refused() -> None:
    context, document = text_and_document([1] * 100)
    windows = cut(100, 100, 0)
    room = AnswerRoom([Question("Who?", context)])

    def answers(room: AnswerRoom | None) -> list[Answer]:
        search = SpanSearch(document, 100, SpanRules(100, 30, False, True))
        search.add(windows[0], random_logits(windows, 1)[0])
        return search.answers(context, room)

    assert len(answers(room)) == 100
    room.take([(0.0, (0, 1_990_000 - 100 * 300))])
    with pytest.raises(PayloadTooLarge, match="top_k"):
        answers(room)
    assert len(answers(None)) == 100
