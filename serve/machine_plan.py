"""The plan of a model that has the machine to itself."""

import logging

from container import cgroup
from container.cpu import Cpu
from container.settings import Settings
from model_loader.artifact import Artifact
from serve.lanes.memory_model import ModelSize, memory_model
from serve.lanes.plan import Choices, Plan, make_plan

log = logging.getLogger(__name__)


def choose_plan(settings: Settings, artifact: Artifact, cpu: Cpu, memory_mb: float | None) -> Plan:
    """Plan the lanes of a model that has so many cores and so much memory to itself. None means any amount."""
    has_guard = settings.guard_share > 0 and {"INT8", "FP32"} <= set(artifact.file_mb)
    choices = Choices(
        settings.narrow_lanes,
        settings.wide_lane,
        settings.background_lanes,
        has_guard,
        settings.rung_step,
        settings.max_batch_windows,
    )
    return make_plan(cpu, choices, model_size(artifact, cpu), memory_mb)


def model_size(artifact: Artifact, cpu: Cpu) -> ModelSize:
    """Return what the plan must know of an artifact's model."""
    return ModelSize(artifact.file_mb, artifact.max_seq_len, memory_model(artifact.engine, cpu))


def plan_for_machine(settings: Settings, artifact: Artifact, cpu: Cpu) -> Plan:
    """Plan the lanes of a model that has this machine to itself, and log what was found and chosen."""
    memory_mb = cgroup.available_memory_mb()
    plan = choose_plan(settings, artifact, cpu, memory_mb)
    log.info(
        "CPU %s, %s, %d usable cores on %d NUMA node(s), quota %s, %.0f MB of memory. Lanes: %s. "
        "Rungs: every %d tokens. Expected memory: %d MB",
        cpu.model,
        cpu.isa,
        len(cpu.cores),
        len(cpu.nodes),
        cpu.quota or "none",
        memory_mb,
        ", ".join(f"{lane.name} on {sorted(lane.cores)}" for lane in plan.lanes),
        plan.rung_step,
        plan.memory_mb,
    )
    if plan.memory_mb > memory_mb:
        log.warning(
            "the smallest plan needs about %d MB, and %.0f MB are available: the system may kill the server. "
            "Give it more memory, or serve one precision (PRECISIONS=INT8)",
            plan.memory_mb,
            memory_mb,
        )
    return plan
