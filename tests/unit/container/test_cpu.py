"""What the box is, on this machine and on boxes made of files."""

import os
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

Box = Callable[[dict[str, str]], None]


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Box:
    """Sets up a box of four logical CPUs that consists of the files given: absolute path, content."""

    def build(files: dict[str, str]) -> None:
        for path, content in files.items():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    build({"/proc/cpuinfo": cpuinfo(GENOA)})
    monkeypatch.setattr(cpu, "Path", lambda path: tmp_path / path.lstrip("/"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(cpu, "_cpuinfo", cpu._cpuinfo.__wrapped__)
    return build


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


@pytest.mark.parametrize("cap", ["AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"])
def test_a_cap_holds_on_this_machine(cap: str) -> None:
    assert LEVELS.index("AVX2") <= LEVELS.index(detect(cap).isa) <= LEVELS.index(cap)
    assert not detect(cap).has_bf16


def test_the_cap_is_read_from_onednns_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "avx2")
    assert detect().isa == "AVX2"


def test_this_machine_capped_below_avx2_is_unsupported() -> None:
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
def test_the_isa_is_the_best_that_the_flags_allow(box: Box, flags: str, isa: str) -> None:
    box({"/proc/cpuinfo": cpuinfo(flags)})
    assert (detect().isa, detect().model) == (isa, "Test CPU")


@pytest.mark.parametrize(
    ("flags", "cap", "isa"),
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
def test_onednns_variable_caps_the_isa(box: Box, flags: str, cap: str, isa: str) -> None:
    box({"/proc/cpuinfo": cpuinfo(flags)})
    assert detect(cap).isa == isa


@pytest.mark.parametrize("cap", ["SSE41", "AVX"])
def test_a_cap_below_avx2_is_unsupported(box: Box, cap: str) -> None:
    with pytest.raises(CpuUnsupported, match="'Test CPU' offers no AVX2"):
        detect(cap)


def test_a_cpu_of_another_architecture_is_unsupported(box: Box) -> None:
    box({"/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n"})
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
def test_bf16_comes_with_avx512_bf16_and_what_is_newer(isa: str, has_bf16: bool) -> None:
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
    ids=["far siblings", "near siblings", "no hyper-threads", "first thread not ours", "one thread", "no topology"],
)
def test_one_logical_cpu_of_each_usable_core_counts(
    box: Box, monkeypatch: pytest.MonkeyPatch, affinity: set[int], siblings: list[str], cores: tuple[int, ...]
) -> None:
    box(topology(siblings))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: affinity)
    assert detect().cores == cores


def test_cores_are_grouped_by_numa_node(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    node_of = {0: 0, 1: 1, 2: 0, 3: 1}
    box(topology(["0", "1", "2", "3"]))
    box({f"/sys/devices/system/cpu/cpu{cpu}/node{node}/meminfo": "" for cpu, node in node_of.items()})
    assert detect().nodes == ((0, 2), (1, 3))
    assert detect().cores == (0, 2, 1, 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 3})
    assert detect().nodes == ((2,), (1, 3))
