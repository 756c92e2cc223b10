"""From cores and quota to lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu import Cpu
from serve.lane_plan import LaneSpec, parallel_lanes, plan_lanes


def box(cores: int, quota: float | None = None) -> Cpu:
    return Cpu("any", "AVX512_CORE", tuple(range(0, 2 * cores, 2)), quota)  # odd ones: their hyper-threads


def widths(plan: tuple[LaneSpec, ...]) -> dict[str, int]:
    return {lane.name: lane.width for lane in plan}


def test_one_core_has_one_lane() -> None:
    assert plan_lanes(box(1), None, True) == (LaneSpec("narrow-0", frozenset({0})),)


def test_two_cores_have_a_lane_each_and_a_wide_one_over_both() -> None:
    assert plan_lanes(box(2), None, True) == (
        LaneSpec("narrow-0", frozenset({0})),
        LaneSpec("narrow-1", frozenset({2})),
        LaneSpec("wide", frozenset({0, 2})),
    )


def test_eight_cores_have_eight_lanes_of_one_core() -> None:
    assert widths(plan_lanes(box(8), None, True)) == {**{f"narrow-{i}": 1 for i in range(8)}, "wide": 8}


def test_more_cores_make_wider_lanes_not_more() -> None:
    assert widths(plan_lanes(box(64), None, True)) == {**{f"narrow-{i}": 8 for i in range(8)}, "wide": 64}


@pytest.mark.parametrize(
    ("quota", "cores_used"), [(0.5, 1), (1.0, 1), (1.5, 1), (2.0, 2), (2.9, 2), (8.0, 8), (100.0, 8)]
)
def test_a_quota_leaves_only_the_whole_cores_that_it_pays_for(quota: float, cores_used: int) -> None:
    plan = plan_lanes(box(8, quota), None, True)
    assert frozenset().union(*(lane.cores for lane in plan)) == set(range(0, 2 * cores_used, 2))
    assert parallel_lanes(plan) == cores_used


@pytest.mark.parametrize(
    ("cores", "wanted", "expected"),
    [
        (8, 1, {"narrow-0": 8}),
        (8, 2, {"narrow-0": 4, "narrow-1": 4, "wide": 8}),
        (8, 3, {"narrow-0": 2, "narrow-1": 2, "narrow-2": 2, "wide": 8}),
        (2, 5, {"narrow-0": 1, "narrow-1": 1, "wide": 2}),
        (24, 12, {**{f"narrow-{i}": 2 for i in range(12)}, "wide": 24}),
    ],
)
def test_the_number_of_narrow_lanes_can_be_set(cores: int, wanted: int, expected: dict[str, int]) -> None:
    assert widths(plan_lanes(box(cores), wanted, True)) == expected


@pytest.mark.parametrize("cores", [1, 2, 8, 64])
def test_the_wide_lane_can_be_left_out(cores: int) -> None:
    with_it, without = plan_lanes(box(cores), None, True), plan_lanes(box(cores), None, False)
    assert without == tuple(lane for lane in with_it if lane.name != "wide")
    assert without


def test_the_wide_lane_does_not_count_as_parallel() -> None:
    assert parallel_lanes(plan_lanes(box(4), None, True)) == 4
    assert parallel_lanes(plan_lanes(box(4), None, False)) == 4


@given(
    st.integers(1, 200),
    st.none() | st.floats(0.01, 300),
    st.none() | st.integers(1, 256),
    st.booleans(),
)
def test_narrow_lanes_share_no_core_and_the_wide_one_covers_all(
    cores: int, quota: float | None, wanted: int | None, wide_lane: bool
) -> None:
    cpu = box(cores, quota)
    plan = plan_lanes(cpu, wanted, wide_lane)
    narrow = [lane for lane in plan if lane.name != "wide"]
    wide = [lane for lane in plan if lane.name == "wide"]
    used = frozenset().union(*(lane.cores for lane in narrow))
    assert 1 <= len(narrow) <= (wanted or 8)
    assert sum(lane.width for lane in narrow) == len(used) <= max(1, quota or cores)
    assert len({lane.width for lane in narrow}) == 1
    assert len({lane.name for lane in plan}) == len(plan)
    assert all(lane.cores <= set(cpu.cores) for lane in plan)
    assert len(wide) == (wide_lane and len(narrow) > 1)
    assert all(used <= lane.cores for lane in wide)
