"""The ladder has the right rungs, a window takes the right one, and they are warmed in the right order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_loader.ladder import rung_for, rungs, warm_order, with_rung

MAX_SEQ_LENS = st.integers(16, 512)
STEPS = st.integers(8, 512)


@pytest.mark.parametrize(
    ("max_seq_len", "step", "ladder"),
    [
        (64, 16, (16, 32, 48, 64)),
        (70, 32, (32, 64, 70)),
        (384, 128, (128, 256, 384)),
        (16, 16, (16,)),
        (100, 512, (100,)),
    ],
)
def test_the_rungs_are_the_multiples_of_the_step_and_the_longest_window(
    max_seq_len: int, step: int, ladder: tuple[int, ...]
) -> None:
    assert rungs(max_seq_len, step) == ladder


def test_the_default_ladder_has_24_rungs() -> None:
    assert len(rungs(384, 16)) == 24


@given(MAX_SEQ_LENS, STEPS)
def test_the_rungs_rise_and_a_window_is_padded_by_less_than_a_step(max_seq_len: int, step: int) -> None:
    ladder = rungs(max_seq_len, step)
    assert list(ladder) == sorted(set(ladder))
    assert ladder[-1] == max_seq_len
    for tokens in range(1, max_seq_len + 1):
        rung = rung_for(tokens, ladder)
        assert rung is not None
        assert 0 <= rung - tokens < step


@pytest.mark.parametrize(
    ("tokens", "warm", "rung"),
    [
        (1, (16, 32, 384), 16),
        (16, (16, 32, 384), 16),
        (17, (16, 32, 384), 32),
        (33, (16, 32, 384), 384),
        (33, (16, 48, 64, 384), 48),
        (384, (384,), 384),
        (385, (16, 384), None),
        (1, (), None),
    ],
)
def test_a_window_takes_the_smallest_warm_rung_that_holds_it(
    tokens: int, warm: tuple[int, ...], rung: int | None
) -> None:
    assert rung_for(tokens, warm) == rung


def test_the_warm_rungs_stay_in_their_order() -> None:
    assert with_rung((), 384) == (384,)
    assert with_rung((16, 384), 48) == (16, 48, 384)
    assert with_rung((16, 384), 384) == (16, 384)


def test_the_longest_rung_is_warmed_first_and_then_the_others_from_coarse_to_fine() -> None:
    assert warm_order(rungs(128, 16)) == [128, 64, 96, 32, 112, 80, 48, 16]
    assert warm_order(rungs(384, 16))[:4] == [384, 256, 128, 320]


def test_the_longest_rung_comes_first_even_if_it_is_not_a_multiple_of_the_step() -> None:
    assert warm_order((16, 32, 48, 50)) == [50, 32, 48, 16]


@given(MAX_SEQ_LENS, STEPS)
def test_every_rung_is_warmed_once_and_from_coarse_to_fine(max_seq_len: int, step: int) -> None:
    ladder = rungs(max_seq_len, step)
    order = warm_order(ladder)
    assert sorted(order) == list(ladder)
    assert order[0] == max_seq_len
    coarseness = [rung & -rung for rung in order[1:]]  # the largest power of two that divides it
    assert coarseness == sorted(coarseness, reverse=True)
