"""`python -m serve --plan`: say what the server would do with so many cores and so much memory, without starting it.

The plan is that of serve/machine_plan.py. From its memory follows what a container should request.
"""

import argparse
import math
import sys
from dataclasses import dataclass, replace

from container import cgroup, contract, cpu, model_dir
from container.access.trusted_keys import read_trusted_keys
from container.cpu import Cpu, CpuUnsupported
from container.settings import Settings
from container.validation.environment import SettingsError
from model_loader import artifact as artifacts
from model_loader.artifact import Artifact
from model_loader.errors import ArtifactMissing, ModelLoadError
from serve.http.limits import bodies_mib
from serve.lanes.batches.batches import AUTO_WINDOWS
from serve.lanes.plan import LaneKind, Plan
from serve.machine_plan import choose_plan

OTHER_CPU = "the CPU of this machine cannot run the server; the plan is for a CPU with AVX-512 and without BF16"
MIB = 2**20
STEP_MIB = 256  # the memory to request is a multiple of this
REQUESTS_SHARE = 0.25  # bodies in work stay below a quarter of the memory (serve/http/limits.py), beside the plan's


@dataclass(frozen=True)
class Machine:
    """What the server may use. memory_mb is in megabytes of 1,000,000 bytes, as in the plan."""

    cpu: Cpu
    memory_mb: float


def print_plan(arguments: argparse.Namespace) -> int:
    """Print the plan for the cores and the memory of the arguments; return the exit code."""
    try:
        settings = Settings.from_env()
        if settings.multi_model:
            raise SettingsError(
                "SAGEMAKER_MULTI_MODEL=true: --plan plans a server with one model. A multi-model endpoint plans each "
                "model when it is loaded, for the memory that is free then"
            )
        machine = _machine(settings, arguments.cores, arguments.memory)
        directory = arguments.model_dir or model_dir.choose(
            settings.model_dir, "model_dir" not in settings.model_fields_set
        )
        artifact = artifacts.open_artifact(directory, settings.precisions, machine.cpu, read_trusted_keys(settings))
    except SettingsError as error:
        print(f"cannot plan: {error}", file=sys.stderr)
        return contract.EXIT_SETTINGS
    except CpuUnsupported as error:
        print(f"cannot plan: {error}. With --cores N the plan is for another machine", file=sys.stderr)
        return contract.EXIT_CPU
    except ModelLoadError as error:
        hint = ". With --plan, you can also name it in --model-dir" if isinstance(error, ArtifactMissing) else ""
        print(f"cannot plan: {error}{hint}", file=sys.stderr)
        return contract.EXIT_ARTIFACT
    lines, is_enough = report(settings, artifact, machine)
    print("\n".join(lines))
    return 0 if is_enough else contract.EXIT_TOO_SMALL


def _machine(settings: Settings, wanted_cores: float | None, memory_mb: float | None) -> Machine:
    """Return the machine to plan for: this one, with the given number of cores and memory in place of its own.

    Raises: CpuUnsupported if this machine cannot run the server and no number of cores is given.
    """
    try:
        here = cpu.detect(settings.onednn_max_cpu_isa)
    except CpuUnsupported:
        if wanted_cores is None:
            raise
        print(OTHER_CPU, file=sys.stderr)
        here = Cpu("another machine's", "AVX512_CORE", (), None)
    if wanted_cores is not None:
        here = replace(here, nodes=(tuple(range(math.ceil(wanted_cores))),), quota=wanted_cores)
    return Machine(here, cgroup.available_memory_mb() if memory_mb is None else memory_mb)


def report(settings: Settings, artifact: Artifact, machine: Machine) -> tuple[list[str], bool]:
    """Return the lines to print, and whether the memory is enough."""
    plan = choose_plan(settings, artifact, machine.cpu, machine.memory_mb)
    best = choose_plan(settings, artifact, machine.cpu, None)
    fits = plan.memory_mb <= machine.memory_mb
    needed_mib = request_mib(plan, machine.memory_mb if fits else None)
    needed_mb = needed_mib * MIB / 1e6
    shortages = _shortages(plan, artifact, machine, needed_mb)
    lines = [
        f"Model: {artifact.name}, {', '.join(f'{name} {size:.0f} MB' for name, size in artifact.file_mb.items())}",
        f"Given: {_cores_text(machine.cpu)}, and {_gib(machine.memory_mb)} of memory",
        *shortages,
        "",
        *_lanes_lines(plan),
        *_memory_lines(settings, plan, needed_mb),
        *_left_out(plan, best, needed_mib),
        "",
        "Settings that this start chooses:",
        *(f"  {name}={value}" for name, value in _chosen(settings, artifact, plan, needed_mb).items()),
        "",
        f"Kubernetes, for the container in deploy/kubernetes.yaml{', with the least that works' if shortages else ''}:",
        *resources_lines(plan, needed_mib),
    ]
    return lines, not shortages


def request_mib(plan: Plan, most_mb: float | None) -> int:
    """Return the memory to request: the plan's, and a quarter of the whole for requests, but no more than is there.

    A server with this memory makes the same plan, because the plan with its batches fits.
    """
    needed_mb = (plan.memory_mb + plan.batch_mb) / (1 - REQUESTS_SHARE)
    mib = math.ceil(needed_mb * 1e6 / MIB / STEP_MIB) * STEP_MIB
    return mib if most_mb is None else min(mib, math.floor(most_mb * 1e6 / MIB))


def resources_lines(plan: Plan, memory_mib: int) -> list[str]:
    """Return the block `resources`. Requests equal limits, so kubelet's static CPU manager gives whole cores."""
    amount = f"{memory_mib // 1024}Gi" if memory_mib % 1024 == 0 else f"{memory_mib}Mi"
    each = f'{{cpu: "{plan.parallel}", memory: {amount}}}'
    return ["resources:", f"  requests: {each}", f"  limits: {each}"]


def _lanes_lines(plan: Plan) -> list[str]:
    counts = {kind: [lane.width for lane in plan.lanes if lane.kind is kind] for kind in LaneKind}
    return ["Lanes:"] + [
        f"  {len(widths)} {kind}"
        + (f", of {' and '.join(map(str, sorted(set(widths))))} cores" if max(widths) > 1 else "")
        for kind, widths in counts.items()
        if widths
    ]


def _memory_lines(settings: Settings, plan: Plan, requested_mb: float) -> list[str]:
    batches = f", and {plan.batch_mb:,} MB if all batches pay" if plan.batch_mb else ""
    left_mb = requested_mb - plan.memory_mb - plan.batch_mb
    lines = [
        f"Expected memory: {plan.memory_mb:,} MB{batches}",
        f"Left for requests, if the container has the memory of the block below: {left_mb:,.0f} MB",
    ]
    if left_mb < (bodies := bodies_mib(settings, requested_mb) * MIB / 1e6):
        lines.append(f"That is little: the bodies of requests alone may take {bodies:,.0f} MB (MAX_BODIES_MB).")
    return lines


def _cores_of(found: Cpu) -> float:
    return len(found.cores) if found.quota is None else min(found.quota, len(found.cores))


def _cores_text(found: Cpu) -> str:
    amount = _cores_of(found)
    text = f"{amount:g} core{'' if amount == 1 else 's'} with {found.isa}"
    whole = math.floor(amount)
    return text if amount in (whole, 0) or not whole else f"{text} (lanes use whole cores, so they use {whole})"


def _shortages(plan: Plan, artifact: Artifact, machine: Machine, needed_mb: float) -> list[str]:
    """Return a line for everything of which there is too little."""
    lines = []
    if _cores_of(machine.cpu) < 1:
        lines.append("TOO SMALL: a lane needs a whole core. With a part of one, every answer waits for CPU time.")
    if plan.memory_mb > machine.memory_mb:
        remedy = ", or serve one precision (PRECISIONS=INT8)" if len(artifact.models) > 1 else ""
        lines.append(
            f"TOO SMALL: the smallest plan needs about {plan.memory_mb:,} MB, and {machine.memory_mb:,.0f} MB are "
            f"given. The system may kill the server. Give it {_gib(needed_mb)}{remedy}."
        )
    return lines


def _left_out(plan: Plan, best: Plan, needed_mib: int) -> list[str]:
    """Say what more memory would add. needed_mib: of the plan."""
    missing = [f"{kind} lanes" for kind in LaneKind if _count(plan, kind) < _count(best, kind)]
    if plan.rung_step > best.rung_step:
        missing.append(f"rungs every {best.rung_step} tokens")
    if plan.batch_shapes < best.batch_shapes:
        missing.append(f"{best.batch_shapes - plan.batch_shapes} shapes of batches")
    best_mib = request_mib(best, None)
    if not missing or best_mib <= needed_mib:
        return []
    return [f"Left out, because memory is short: {', '.join(missing)}. {_gib(best_mib * MIB / 1e6)} hold everything."]


def _count(plan: Plan, kind: LaneKind) -> int:
    return sum(lane.kind is kind for lane in plan.lanes)


def _chosen(settings: Settings, artifact: Artifact, plan: Plan, memory_mb: float) -> dict[str, object]:
    windows = (plan.max_batch_windows or AUTO_WINDOWS) if plan.batch_shapes else 1
    return {
        "PRECISIONS": ",".join(artifact.file_mb),
        "NARROW_LANES": plan.parallel,
        "WIDE_LANE": str(bool(_count(plan, LaneKind.WIDE))).lower(),
        "BACKGROUND_LANES": str(bool(_count(plan, LaneKind.BACKGROUND))).lower(),
        "GUARD_SHARE": settings.guard_share if _count(plan, LaneKind.GUARD) else 0,
        "RUNG_STEP": plan.rung_step,
        "MAX_BATCH_WINDOWS": windows,
        "MAX_BODIES_MB": bodies_mib(settings, memory_mb),
    }


def _gib(megabytes: float) -> str:
    return f"{megabytes * 1e6 / 2**30:.1f} GiB"
