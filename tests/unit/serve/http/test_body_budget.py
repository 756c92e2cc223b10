"""The memory for bodies: how it is shared, and how large it is."""

import pytest

from container.settings import Settings
from serve.http.body_budget import SMALL_BYTES, BodyBudget
from serve.http.limits import bodies_mib

MIB = 2**20


def test_large_bodies_leave_room_for_small_ones() -> None:
    budget = BodyBudget(4 * MIB, None)
    assert budget.hold(0, 3 * MIB) == 3 * MIB
    assert budget.hold(0, SMALL_BYTES + 1) is None
    for _ in range(16):
        assert budget.hold(0, SMALL_BYTES) == SMALL_BYTES
    assert budget.hold(0, 1) is None
    assert budget.held_bytes == 4 * MIB


def test_a_body_of_any_size_fits_while_no_other_large_one_is_held() -> None:
    budget = BodyBudget(4 * MIB, None)
    assert budget.hold(0, 1000) == 1000
    assert budget.hold(0, 100 * MIB) == 3 * MIB
    assert budget.hold(0, 100 * MIB) is None


def test_a_body_that_is_refused_or_read_as_a_stream_counts_as_the_largest_that_is_kept() -> None:
    assert BodyBudget(64 * MIB, 5 * MIB).hold(0, 100 * MIB) == 5 * MIB


def test_a_body_can_grow_until_the_room_is_used_and_keeps_what_it_had() -> None:
    budget = BodyBudget(4 * MIB, None)
    held = budget.hold(0, SMALL_BYTES)
    assert held == SMALL_BYTES
    assert budget.hold(0, 2 * MIB) == 2 * MIB
    assert budget.hold(held, MIB) == MIB
    assert budget.hold(MIB, MIB + 1) is None
    assert budget.held_bytes == 3 * MIB
    assert (budget.hold(MIB, 0), budget.hold(2 * MIB, 0)) == (0, 0)
    assert budget.held_bytes == 0
    assert budget.hold(0, 3 * MIB) == 3 * MIB


@pytest.mark.parametrize(("memory_mb", "expected"), [(30, 1), (2000, 29), (8 * 1073.741824, 128), (64_000, 256)])
def test_the_budget_is_a_64th_of_the_memory_up_to_256_mib(memory_mb: float, expected: int) -> None:
    assert bodies_mib(Settings(), memory_mb) == expected


def test_a_setting_replaces_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_BODIES_MB", "700")
    assert bodies_mib(Settings(), 2000) == 700
