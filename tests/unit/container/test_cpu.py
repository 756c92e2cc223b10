"""The CPU is detected: on this machine, and on machines whose files the tests write."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from container import cpu
from container.cpu import ISA_FLAGS, Cpu, CpuUnsupported, detect

HASWELL = "sse4_1 avx avx2"
ALDER_LAKE = f"{HASWELL} avx_vnni"
SKYLAKE = f"{HASWELL} avx512bw"
ICE_LAKE = f"{SKYLAKE} avx512_vnni"
GENOA = f"{ICE_LAKE} avx512_bf16"
SAPPHIRE_RAPIDS = f"{GENOA} avx_vnni avx512_fp16 amx_int8"
LEVELS = list(ISA_FLAGS)

WriteFiles = Callable[[dict[str, str]], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, system_files: WriteFiles) -> WriteFiles:
    """Set up a machine with four logical CPUs. The returned function writes its files."""
    system_files({"/proc/cpuinfo": cpuinfo(GENOA)})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(cpu, "_cpuinfo", cpu._cpuinfo.__wrapped__)  # without the cache
    return system_files


def cpuinfo(flags: str) -> str:
    return f"processor\t: 0\nmodel name\t: Test CPU\nflags\t\t: {flags}\n\nprocessor\t: 1\nmodel name\t: Other\n"


def topology(siblings: list[str]) -> dict[str, str]:
    return {
        f"/sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list": f"{each}\n" for i, each in enumerate(siblings)
    }


def test_this_machine_has_cores_that_this_process_may_use() -> None:
    here = detect()
    assert here.cores
    assert set(here.cores) <= os.sched_getaffinity(0)
    assert list(here.cores) == sorted(set(here.cores))
    assert here.model in Path("/proc/cpuinfo").read_text()
    assert here.isa in LEVELS
    assert here.quota is None or here.quota > 0


@pytest.mark.parametrize("limit", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_a_limit_holds_on_this_machine(limit: str) -> None:
    assert LEVELS.index("AVX2") <= LEVELS.index(detect(limit).isa) <= LEVELS.index(limit)
    assert not detect(limit).has_bf16


def test_the_limit_is_read_from_onednns_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert detect().isa == "AVX2"


def test_this_machine_limited_to_less_than_avx2_is_unsupported() -> None:
    with pytest.raises(CpuUnsupported, match="AVX2"):
        detect("SSE41")


@pytest.mark.parametrize(
    ("flags", "isa"),
    [
        (HASWELL, "AVX2"),
        (ALDER_LAKE, "AVX2_VNNI"),
        (SKYLAKE, "AVX512_CORE"),
        (ICE_LAKE, "AVX512_CORE_VNNI"),
        (GENOA, "AVX512_CORE_BF16"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_AMX"),
    ],
)
def test_the_isa_is_the_strongest_that_the_flags_allow(machine: WriteFiles, flags: str, isa: str) -> None:
    machine({"/proc/cpuinfo": cpuinfo(flags)})
    assert (detect().isa, detect().model) == (isa, "Test CPU")


@pytest.mark.parametrize(
    ("flags", "limit", "isa"),
    [
        (SAPPHIRE_RAPIDS, "AVX2", "AVX2"),
        (SAPPHIRE_RAPIDS, "avx2", "AVX2"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE", "AVX512_CORE"),
        (SAPPHIRE_RAPIDS, "AVX512_CORE_BF16", "AVX512_CORE_BF16"),
        (SAPPHIRE_RAPIDS, "DEFAULT", "AVX512_CORE_AMX"),
        (SAPPHIRE_RAPIDS, "ALL", "AVX512_CORE_AMX"),
        (ALDER_LAKE, "AVX512_CORE", "AVX2_VNNI"),
        (HASWELL, "AVX512_CORE", "AVX2"),
    ],
)
def test_onednns_variable_limits_the_isa(machine: WriteFiles, flags: str, limit: str, isa: str) -> None:
    machine({"/proc/cpuinfo": cpuinfo(flags)})
    assert detect(limit).isa == isa


@pytest.mark.parametrize("limit", ["SSE41", "AVX"])
def test_a_limit_below_avx2_is_unsupported(machine: WriteFiles, limit: str) -> None:
    with pytest.raises(CpuUnsupported, match="'Test CPU' has no AVX2"):
        detect(limit)


def test_a_cpu_of_another_architecture_is_unsupported(machine: WriteFiles) -> None:
    machine({"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n"})
    with pytest.raises(CpuUnsupported, match="emulating"):
        detect()


@pytest.mark.parametrize(
    ("isa", "has_bf16"),
    [
        ("AVX2", False),
        ("AVX2_VNNI", False),
        ("AVX512_CORE", False),
        ("AVX512_CORE_VNNI", False),
        ("AVX512_CORE_BF16", True),
        ("AVX512_CORE_FP16", True),
        ("AVX512_CORE_AMX", True),
        ("AVX512_CORE_AMX_FP16", True),
    ],
)
def test_bf16_comes_with_avx512_bf16_and_stronger_instruction_sets(isa: str, has_bf16: bool) -> None:
    assert Cpu("any", isa, ((0,),), None).has_bf16 is has_bf16


@pytest.mark.parametrize(
    ("affinity", "siblings", "cores"),
    [
        ({0, 1, 2, 3}, ["0,2", "1,3", "0,2", "1,3"], (0, 1)),
        ({0, 1, 2, 3}, ["0-1", "0-1", "2-3", "2-3"], (0, 2)),
        ({0, 1, 2, 3}, ["0", "1", "2", "3"], (0, 1, 2, 3)),
        ({1, 2, 3}, ["0-1", "0-1", "2-3", "2-3"], (1, 2)),
        ({3}, ["0,2", "1,3", "0,2", "1,3"], (3,)),
        ({2, 3}, [], (2, 3)),
    ],
    ids=[
        "distant siblings",
        "adjacent siblings",
        "no hyper-threads",
        "first thread not usable",
        "one thread",
        "no topology",
    ],
)
def test_one_logical_cpu_of_each_usable_core_counts(
    machine: WriteFiles,
    monkeypatch: pytest.MonkeyPatch,
    affinity: set[int],
    siblings: list[str],
    cores: tuple[int, ...],
) -> None:
    machine(topology(siblings))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity)
    assert detect().cores == cores


def test_cores_are_grouped_by_numa_node(machine: WriteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    node_of = {0: 0, 1: 1, 2: 0, 3: 1}
    machine(topology(["0", "1", "2", "3"]))
    machine({f"/sys/devices/system/cpu/cpu{cpu}/node{node}/meminfo": "" for cpu, node in node_of.items()})
    assert detect().nodes == ((0, 2), (1, 3))
    assert detect().cores == (0, 2, 1, 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 3})
    assert detect().nodes == ((2,), (1, 3))


@pytest.mark.parametrize(
    ("features", "isa", "has_bf16"),
    [
        ("fp asimd evtstrm aes", "ARM_ASIMD", False),
        ("fp asimd asimddp sve", "ARM_DOT_PRODUCT", False),
        ("fp asimd asimddp i8mm bf16 sve", "ARM_BF16", True),
    ],
)
def test_an_arm_cpu_is_recognized_by_its_features(
    machine: WriteFiles, monkeypatch: pytest.MonkeyPatch, features: str, isa: str, has_bf16: bool
) -> None:
    machine({"/proc/cpuinfo": f"processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: {features}\n"})
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    found = detect()
    assert (found.model, found.isa, found.has_bf16, found.is_arm) == ("unknown", isa, has_bf16, True)
    assert found.cores == (0, 1, 2, 3)
