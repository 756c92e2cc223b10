"""Detect the CPU: its model, its instruction sets, and the cores and CPU time that this process may use."""

import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from container import cgroup

# The values of ONEDNN_MAX_CPU_ISA from the weakest to the strongest, each with the CPU flag that it requires.
# https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
ISA_FLAGS = {
    "SSE41": "sse4_1",
    "AVX": "avx",
    "AVX2": "avx2",
    "AVX2_VNNI": "avx_vnni",
    "AVX2_VNNI_2": "avx_ne_convert",
    "AVX512_CORE": "avx512bw",
    "AVX512_CORE_VNNI": "avx512_vnni",
    "AVX512_CORE_BF16": "avx512_bf16",
    "AVX512_CORE_FP16": "avx512_fp16",
    "AVX512_CORE_AMX": "amx_int8",
    "AVX512_CORE_AMX_FP16": "amx_fp16",
}
_LEVELS = list(ISA_FLAGS)
# On ARM, from the weakest to the strongest. Only OpenVINO runs there.
ARM_FLAGS = {"ARM_ASIMD": "asimd", "ARM_DOT_PRODUCT": "asimddp", "ARM_I8MM": "i8mm", "ARM_BF16": "bf16"}


class CpuUnsupported(Exception):
    """The CPU, or the emulator of a CPU, cannot run the kernels."""


@dataclass(frozen=True)
class Cpu:
    """The CPU as this process may use it.

    isa: the strongest usable instruction set, under oneDNN's name; on ARM, a key of ARM_FLAGS.
    nodes: for each NUMA node, one logical CPU of each physical core that this process may run on.
    quota: the limit on CPU time in cores, or None if there is no limit.
    """

    model: str
    isa: str
    nodes: tuple[tuple[int, ...], ...]
    quota: float | None

    @property
    def cores(self) -> tuple[int, ...]:
        """The usable cores of all NUMA nodes."""
        return tuple(core for node in self.nodes for core in node)

    @property
    def has_bf16(self) -> bool:
        """Whether the CPU multiplies BF16 numbers in hardware."""
        if self.is_arm:
            return self.isa == "ARM_BF16"
        return _LEVELS.index(self.isa) >= _LEVELS.index("AVX512_CORE_BF16")

    @property
    def is_arm(self) -> bool:
        """Whether the CPU is an ARM CPU of 64 bits."""
        return self.isa in ARM_FLAGS


def detect(max_isa: str | None = None) -> Cpu:
    """Detect the CPU of this machine.

    max_isa limits the instruction set in the same way as oneDNN does. None reads the limit from ONEDNN_MAX_CPU_ISA.

    Raises: CpuUnsupported if the CPU has no AVX2, which IPEX needs.
    """
    model, flags = _cpuinfo()
    if platform.machine() in ("aarch64", "arm64"):
        return Cpu(model, _strongest_arm(flags), _physical_cores(), cgroup.cpu_quota())
    limit = (max_isa or os.environ.get("ONEDNN_MAX_CPU_ISA", "")).upper()
    # The check of the CPU's flags is needed for every level: a CPU with AVX512_CORE need not have AVX2_VNNI.
    allowed = _LEVELS[: _LEVELS.index(limit) + 1] if limit in _LEVELS else _LEVELS
    usable = [name for name in allowed if ISA_FLAGS[name] in flags]
    if "AVX2" not in usable:
        raise CpuUnsupported(
            f"CPU {model!r} has no AVX2, which the kernels need. Run the server on an x86-64 CPU of 2013 or later; "
            "emulating such a CPU on another architecture (an x86-64 image on an ARM machine) does not work"
        )
    return Cpu(model, usable[-1], _physical_cores(), cgroup.cpu_quota())


def _strongest_arm(flags: frozenset[str]) -> str:
    return [name for name, flag in ARM_FLAGS.items() if flag in flags or name == "ARM_ASIMD"][-1]


@cache
def _cpuinfo() -> tuple[str, frozenset[str]]:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features", "")  # the second is ARM's name
    return fields.get("model name", "unknown"), frozenset(flags.split())


def _physical_cores() -> tuple[tuple[int, ...], ...]:
    """Return the lowest usable logical CPU of each physical core, grouped by NUMA node.

    A core counts once even if it has two hyper-threads, because both share the unit that multiplies matrices.
    """
    seen: set[str] = set()
    nodes: dict[int, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        folder = Path(f"/sys/devices/system/cpu/cpu{cpu}")
        siblings = folder / "topology/thread_siblings_list"
        core = siblings.read_text().strip() if siblings.exists() else str(cpu)
        if core not in seen:
            seen.add(core)
            nodes.setdefault(_numa_node(folder), []).append(cpu)
    return tuple(tuple(cores) for _, cores in sorted(nodes.items()))


def _numa_node(folder: Path) -> int:
    return min((int(link.name[len("node") :]) for link in folder.glob("node[0-9]*")), default=0)
