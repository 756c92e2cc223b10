"""A document in packed pieces has the same tokens as one piece, and parts of it are slices of the whole."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.qa.document import Document, PackedTokens, Tokens

COLUMNS = ("ids", "starts", "ends", "word_starts", "word_ends")


def packed(begin: int, word_sizes: list[int]) -> PackedTokens:
    """Words of so many tokens each; a token is two letters, words are a space apart."""
    starts, is_first, at = [], [], 0
    for size in word_sizes:
        starts += [at + 2 * token for token in range(size)]
        is_first += [token == 0 for token in range(size)]
        at += 2 * size + 1
    begins = np.array(starts, dtype=np.uint16)
    return PackedTokens(
        begin, np.arange(len(starts), dtype=np.int32) + begin, begins, begins + 2, np.array(is_first, bool)
    )


def rows(tokens: Tokens) -> list[list[int]]:
    return [getattr(tokens, column).tolist() for column in COLUMNS]


@settings(database=None, deadline=None)
@given(
    st.lists(st.lists(st.integers(1, 4), max_size=5), max_size=5),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_a_part_is_a_slice_of_the_whole(pieces: list[list[int]], first: int, count: int) -> None:
    document = Document([packed(1000 * number, sizes) for number, sizes in enumerate(pieces)])
    whole = rows(document.whole)
    assert len(document) == len(whole[0]) == sum(map(sum, pieces))
    assert rows(document.part(first, first + count)) == [row[first : first + count] for row in whole]
    assert document.ids(first, first + count).tolist() == whole[0][first : first + count]


def test_a_token_has_the_bounds_of_its_word() -> None:
    tokens = packed(70_000, [1, 3]).unpack()
    assert tokens.starts.tolist() == [70_000, 70_003, 70_005, 70_007]
    assert tokens.ends.tolist() == [70_002, 70_005, 70_007, 70_009]
    assert tokens.word_starts.tolist() == [70_000, 70_003, 70_003, 70_003]
    assert tokens.word_ends.tolist() == [70_002, 70_009, 70_009, 70_009]


@pytest.mark.parametrize("count", [100, 1000])
def test_a_packed_token_needs_nine_bytes(count: int) -> None:
    tokens = packed(0, [1] * count)
    arrays = (tokens.ids, tokens.starts, tokens.ends, tokens.is_first)
    assert sum(array.nbytes for array in arrays) == 9 * count
    assert all(array.base is None or array.base.nbytes <= 2 * array.nbytes for array in arrays)
    assert sys.getsizeof(tokens) < 100
