"""Which lanes there are: from cores and quota to lanes. Pure functions.

Narrow lanes give the throughput: one physical core each scales better than one pass over many. The wide lane over all
cores gives an idle server's request its lowest latency.
"""

import math
from dataclasses import dataclass

from container.cpu import Cpu

MAX_NARROW_LANES = 8  # by default; more cores make wider lanes: each lane holds its own compiled shapes


@dataclass(frozen=True)
class LaneSpec:
    """A lane to be: its name in logs and metrics, and the cores that it is pinned to."""

    name: str
    cores: frozenset[int]

    @property
    def width(self) -> int:
        """Threads of one pass."""
        return len(self.cores)


def plan_lanes(cpu: Cpu, narrow_lanes: int | None, wide_lane: bool) -> tuple[LaneSpec, ...]:
    """Lanes for this box; None means as many narrow lanes as it has use for."""
    budget = len(cpu.cores) if cpu.quota is None else min(len(cpu.cores), max(1, math.floor(cpu.quota)))
    cores = cpu.cores[:budget]
    count = min(narrow_lanes or MAX_NARROW_LANES, budget)
    width = budget // count
    narrow = [LaneSpec(f"narrow-{i}", frozenset(cores[i * width : (i + 1) * width])) for i in range(count)]
    if wide_lane and count > 1:
        return (*narrow, LaneSpec("wide", frozenset(cores)))
    return tuple(narrow)


def parallel_lanes(plan: tuple[LaneSpec, ...]) -> int:
    """How many of them run at once when there is work for all."""
    return sum(1 for lane in plan if lane.name != "wide")
