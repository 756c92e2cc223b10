"""Plans the lanes and the steps of the ladder from the cores, the quota and the memory. Pure functions.

Narrow lanes, one on each core, give the throughput. A wide lane over several cores gives the lowest latency on an idle
server. Background lanes share the narrow lanes' cores and give way to them; they run the later windows of long
documents. A guard lane runs on an idle core only.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from container.cpu import Cpu
from serve.lanes.memory_model import ModelSize

MAX_WIDE_CORES = 8  # of one NUMA node; a pass over more gains little. This is inferred: two cores were measured
RUNG_STEPS = (16, 32, 64, 128)  # tokens; multiples of 16 pad SQuAD by 4.3 %, of 32 by 8.7 %, of 64 by 18.3 %

BATCH_RUNGS = 2  # a shape of up to four windows takes as much as this many rungs; one of 8 or 16 in proportion
MAX_BATCH_SHAPES = 12  # batches of 2 and 4 windows at six rungs; IPEX keeps about 87 compiled shapes for a thread


class LaneKind(StrEnum):
    """What a lane is for."""

    NARROW = "narrow"
    WIDE = "wide"
    BACKGROUND = "background"
    GUARD = "guard"


@dataclass(frozen=True)
class LaneSpec:
    """A planned lane: what it is for, its name in logs and metrics, and the cores that it is pinned to."""

    kind: LaneKind
    name: str
    cores: frozenset[int]

    @property
    def width(self) -> int:
        """The number of threads of one pass."""
        return len(self.cores)


@dataclass(frozen=True)
class Choices:
    """The choices that the settings make; None leaves the choice to the plan."""

    narrow_lanes: int | None = None
    wide_lane: bool = True
    background_lanes: bool = True
    guard_lane: bool = False
    rung_step: int | None = None
    max_batch_windows: int | None = None


@dataclass(frozen=True)
class Plan:
    """The lanes and the ladder of one model.

    memory_mb: the expected proportional set size of all processes, in megabytes, without batches.
    max_batch_windows: the largest number of windows in one call; None leaves it to the measurement.
    batch_shapes: how many shapes of several windows may be warmed for each precision.
    batch_mb: the memory that these shapes and their measurement take at most.
    """

    lanes: tuple[LaneSpec, ...]
    rung_step: int
    memory_mb: int
    max_batch_windows: int | None = 1
    batch_shapes: int = 0
    batch_mb: int = 0

    @property
    def parallel(self) -> int:
        """The number of windows that run at once when there is work for all narrow lanes."""
        return sum(lane.kind is LaneKind.NARROW for lane in self.lanes)


def make_plan(cpu: Cpu, choices: Choices, size: ModelSize, memory_mb: float | None) -> Plan:
    """Return the best plan that fits the memory. If none fits, return the smallest plan.

    memory_mb: the memory that may be used; None means any amount.
    """
    for plan in _from_best_to_smallest(cpu, choices, size):
        if memory_mb is None or plan.memory_mb <= memory_mb:
            break
    free_mb = math.inf if memory_mb is None else memory_mb - plan.memory_mb
    return _with_batches(plan, choices.max_batch_windows, size, free_mb)


def _with_batches(plan: Plan, max_windows: int | None, size: ModelSize, free_mb: float) -> Plan:
    """Return the plan with as many shapes of several windows as the free memory holds, beside a lane that measures."""
    if max_windows == 1:
        return plan
    shape_mb = size.memory.ladder_mb(size.file_mb, max(BATCH_RUNGS, (max_windows or 0) / 2))
    measuring_mb = size.memory.lane_of_one_core_mb(size.file_mb) + 2 * shape_mb
    shapes = math.floor(min(MAX_BATCH_SHAPES, max(0.0, (free_mb - measuring_mb) / shape_mb)))
    batch_mb = round(shapes * shape_mb + measuring_mb) if shapes else 0
    return replace(plan, max_batch_windows=max_windows, batch_shapes=shapes, batch_mb=batch_mb)


def _from_best_to_smallest(cpu: Cpu, choices: Choices, size: ModelSize) -> Iterator[Plan]:
    """Yield plans from the fastest to the smallest.

    For each set of lanes, the finest ladder comes first, then coarser ones. Then the guard lane is dropped, then the
    wide lanes, the background lanes, and finally narrow lanes.
    """
    lanes = _lanes(cpu, choices)
    steps = [choices.rung_step] if choices.rung_step else RUNG_STEPS
    dropped: list[Collection[LaneKind]] = [
        (),
        (LaneKind.GUARD,),
        (LaneKind.GUARD, LaneKind.WIDE),
        (LaneKind.GUARD, LaneKind.WIDE, LaneKind.BACKGROUND),
    ]
    for kinds in dropped:
        kept = tuple(lane for lane in lanes if lane.kind not in kinds)
        for step in steps:
            yield _with_memory(kept, step, size)
    if choices.narrow_lanes is None:
        for count in range(len(kept) - 1, 0, -1):
            yield _with_memory(kept[:count], steps[-1], size)


def _lanes(cpu: Cpu, choices: Choices) -> tuple[LaneSpec, ...]:
    budget = len(cpu.cores) if cpu.quota is None else min(len(cpu.cores), max(1, math.floor(cpu.quota)))
    count = min(choices.narrow_lanes or budget, budget)
    nodes = _shortened(cpu.nodes, count)
    cores = [core for node in nodes for core in node]
    narrow = [LaneSpec(LaneKind.NARROW, f"narrow-{i}", frozenset({core})) for i, core in enumerate(cores)]
    background = [replace(lane, kind=LaneKind.BACKGROUND, name=f"background-{i}") for i, lane in enumerate(narrow)]
    blocks = [block for node in nodes for block in _blocks(node) if len(block) > 1]
    wide = [LaneSpec(LaneKind.WIDE, f"wide-{i}", frozenset(block)) for i, block in enumerate(blocks)]
    return (
        *narrow,
        *(wide if choices.wide_lane else ()),
        *(background if choices.background_lanes else ()),
        *([replace(narrow[-1], kind=LaneKind.GUARD, name="guard-0")] if choices.guard_lane else ()),
    )


def _shortened(nodes: Sequence[Sequence[int]], count: int) -> list[Sequence[int]]:
    """Return the first `count` cores, still grouped by node."""
    kept = []
    for node in nodes:
        kept.append(node[:count])
        count -= len(kept[-1])
    return kept


def _blocks(node: Sequence[int]) -> Iterator[Sequence[int]]:
    """Divide a node's cores into as few blocks of similar size as possible."""
    if not node:
        return
    blocks = math.ceil(len(node) / MAX_WIDE_CORES)
    for i in range(blocks):
        yield node[i * len(node) // blocks : (i + 1) * len(node) // blocks]


def _with_memory(lanes: tuple[LaneSpec, ...], rung_step: int, size: ModelSize) -> Plan:
    """Return a plan with its expected memory: the zygote's, which the lanes share, and each lane's own."""
    rungs = math.ceil(size.max_seq_len / rung_step) - 1
    of_one_core = size.memory.lane_of_one_core_mb(size.file_mb)
    own = {
        LaneKind.NARROW: of_one_core,
        LaneKind.BACKGROUND: of_one_core,
        LaneKind.GUARD: of_one_core,
        LaneKind.WIDE: size.memory.wide_lane_mb(size.file_mb, rungs),
    }
    shared = size.memory.zygote_mb(size.file_mb, rungs)
    return Plan(lanes, rung_step, round(shared + sum(own[lane.kind] for lane in lanes)))
