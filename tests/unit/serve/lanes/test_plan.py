"""From cores, quota and memory to lanes and ladder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container.cpu import Cpu
from serve.lanes.memory_model import ModelSize
from serve.lanes.plan import RUNG_STEPS, Choices, LaneKind, Plan, make_plan
from tests.unit.serve.lanes.model_files import BERT_BASE


def box(*nodes: int, quota: float | None = None) -> Cpu:
    """NUMA nodes of so many cores; the odd numbers are their hyper-threads."""
    cores = iter(range(0, 2 * sum(nodes), 2))
    return Cpu("any", "AVX512_CORE", tuple(tuple(next(cores) for _ in range(node)) for node in nodes), quota)


def plan(cpu: Cpu, memory_mb: float | None = None, **choices: object) -> Plan:
    return make_plan(cpu, Choices(**choices), ModelSize(BERT_BASE, 384), memory_mb)  # type: ignore[arg-type]


def cores_of(made: Plan, kind: LaneKind) -> list[list[int]]:
    return [sorted(lane.cores) for lane in made.lanes if lane.kind is kind]


def test_one_core_has_one_lane_and_one_in_the_background() -> None:
    made = plan(box(1))
    assert [(lane.name, sorted(lane.cores)) for lane in made.lanes] == [("narrow-0", [0]), ("background-0", [0])]
    assert made.parallel == 1


def test_two_cores_have_a_lane_each_and_a_wide_one_over_both() -> None:
    made = plan(box(2))
    assert cores_of(made, LaneKind.NARROW) == cores_of(made, LaneKind.BACKGROUND) == [[0], [2]]
    assert cores_of(made, LaneKind.WIDE) == [[0, 2]]
    assert (made.parallel, made.rung_step) == (2, 16)


def test_all_batches_fit_into_enough_memory() -> None:
    made = plan(box(2))
    assert (made.max_batch_windows, made.batch_shapes) == (None, 12)
    assert made.batch_mb > 0


def test_batches_get_the_memory_that_the_lanes_leave() -> None:
    least = plan(box(2)).memory_mb
    shapes = [plan(box(2), least + more).batch_shapes for more in (0, 200, 400, 600, 2000)]
    assert shapes[0] == 0
    assert shapes == sorted(shapes)
    assert shapes[-1] == 12
    for more in (200, 400, 600):
        made = plan(box(2), least + more)
        assert made.memory_mb + made.batch_mb <= least + more


def test_a_plan_without_batches_needs_no_memory_for_them() -> None:
    made = plan(box(2), max_batch_windows=1)
    assert (made.max_batch_windows, made.batch_shapes, made.batch_mb) == (1, 0, 0)


def test_larger_batches_take_more_memory() -> None:
    assert plan(box(2), max_batch_windows=16).batch_mb > 2 * plan(box(2), max_batch_windows=4).batch_mb


def test_eight_cores_have_eight_narrow_lanes_and_one_wide() -> None:
    made = plan(box(8))
    assert made.parallel == 8
    assert cores_of(made, LaneKind.WIDE) == [list(range(0, 16, 2))]


def test_64_cores_on_two_nodes_have_wide_lanes_of_eight_cores_within_a_node() -> None:
    made = plan(box(32, 32))
    assert made.parallel == 64
    wide = cores_of(made, LaneKind.WIDE)
    assert [len(cores) for cores in wide] == [8] * 8
    assert all(max(cores) < 64 or min(cores) >= 64 for cores in wide)


def test_wide_lanes_have_about_the_same_width() -> None:
    assert [len(cores) for cores in cores_of(plan(box(12, 9)), LaneKind.WIDE)] == [6, 6, 4, 5]


def test_a_single_core_on_a_node_has_no_wide_lane() -> None:
    assert cores_of(plan(box(2, 1)), LaneKind.WIDE) == [[0, 2]]


@pytest.mark.parametrize(
    ("quota", "cores_used"), [(0.5, 1), (1.0, 1), (1.5, 1), (2.0, 2), (2.9, 2), (8.0, 8), (100.0, 8)]
)
def test_a_quota_leaves_only_the_whole_cores_that_it_pays_for(quota: float, cores_used: int) -> None:
    made = plan(box(8, quota=quota))
    assert frozenset().union(*(lane.cores for lane in made.lanes)) == set(range(0, 2 * cores_used, 2))
    assert made.parallel == cores_used


@pytest.mark.parametrize(("wanted", "expected"), [(1, 1), (3, 3), (8, 8), (20, 8)])
def test_the_number_of_cores_to_use_can_be_set(wanted: int, expected: int) -> None:
    made = plan(box(8), narrow_lanes=wanted)
    assert made.parallel == expected
    assert cores_of(made, LaneKind.WIDE) == ([list(range(0, 2 * expected, 2))] if expected > 1 else [])


@pytest.mark.parametrize("cores", [1, 2, 8, 64])
def test_wide_and_background_lanes_can_be_left_out(cores: int) -> None:
    full, bare = plan(box(cores)), plan(box(cores), wide_lane=False, background_lanes=False)
    assert bare.lanes == tuple(lane for lane in full.lanes if lane.kind is LaneKind.NARROW)
    assert bare.parallel == full.parallel == cores
    assert bare.memory_mb < full.memory_mb


@pytest.mark.parametrize("cores", [1, 2, 8, 64])
def test_one_guard_lane_is_made_where_it_is_asked_for_and_is_the_first_to_go(cores: int) -> None:
    guarded, bare = plan(box(cores), guard_lane=True), plan(box(cores))
    assert cores_of(guarded, LaneKind.GUARD) == cores_of(bare, LaneKind.NARROW)[-1:]
    assert tuple(lane for lane in guarded.lanes if lane.kind is not LaneKind.GUARD) == bare.lanes
    coarsest = plan(box(cores), guard_lane=True, rung_step=RUNG_STEPS[-1])
    assert cores_of(plan(box(cores), coarsest.memory_mb - 1, guard_lane=True), LaneKind.GUARD) == []


@pytest.mark.parametrize("step", [8, 16, 48, 384])
def test_the_ladders_step_can_be_set(step: int) -> None:
    assert plan(box(2), rung_step=step).rung_step == step
    assert plan(box(2), rung_step=step, memory_mb=1).rung_step == step


def test_where_memory_is_short_the_ladder_gets_coarser_then_wide_then_background_then_narrow_lanes_go() -> None:
    cpu = box(8)
    seen = []
    for memory_mb in range(plan(cpu).memory_mb, 0, -10):
        made = plan(cpu, memory_mb)
        if made.memory_mb > memory_mb:
            break
        kinds = {lane.kind for lane in made.lanes}
        shape = (LaneKind.WIDE in kinds, LaneKind.BACKGROUND in kinds, made.parallel)
        if not seen or seen[-1] != shape:
            seen.append(shape)
            assert made.rung_step == 16 or made.parallel < 8
    assert seen[:3] == [(True, True, 8), (False, True, 8), (False, False, 8)]
    assert [parallel for *_, parallel in seen[3:]] == list(range(7, 7 - len(seen[3:]), -1))
    assert seen[-1] == (False, False, 1)


def test_too_little_memory_gives_the_smallest_plan_and_its_price() -> None:
    made = plan(box(8), 100)
    assert (made.parallel, len(made.lanes), made.rung_step) == (1, 1, RUNG_STEPS[-1])
    assert made.memory_mb > 100


@given(
    st.lists(st.integers(1, 64), min_size=1, max_size=4),
    st.none() | st.floats(0.01, 300),
    st.none() | st.integers(1, 256),
    st.none() | st.integers(100, 100_000),
)
def test_any_plan_is_sound(nodes: list[int], quota: float | None, wanted: int | None, memory_mb: int | None) -> None:
    cpu = box(*nodes, quota=quota)
    made = plan(cpu, memory_mb, narrow_lanes=wanted)
    narrow, wide, background = (cores_of(made, kind) for kind in (LaneKind.NARROW, LaneKind.WIDE, LaneKind.BACKGROUND))
    used = {core for cores in narrow for core in cores}
    assert 1 <= made.parallel == len(narrow) == len(used) <= min(wanted or 256, max(1, quota or 256))
    assert used <= set(cpu.cores)
    assert background in ([], narrow)
    over = [core for cores in wide for core in cores]
    assert len(over) == len(set(over))
    assert set(over) <= used
    assert all(2 <= len(cores) <= 8 and any(set(cores) <= set(node) for node in cpu.nodes) for cores in wide)
    assert len({lane.name for lane in made.lanes}) == len(made.lanes)
