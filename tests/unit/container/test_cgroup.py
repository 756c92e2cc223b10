"""The limits on CPU time and memory are read from control groups. The tests write the files of these groups."""

from collections.abc import Callable

import pytest

from container import cgroup

GROUP = "/sys/fs/cgroup"
WriteFiles = Callable[[dict[str, str]], None]


@pytest.mark.parametrize(
    ("contents", "quota"),
    [
        ({}, None),
        ({f"{GROUP}/cpu.max": "max 100000\n"}, None),
        ({f"{GROUP}/cpu.max": "150000 100000\n"}, 1.5),
        ({f"{GROUP}/cpu.max": "20000 40000\n"}, 0.5),
        ({f"{GROUP}/cpu/cpu.cfs_quota_us": "250000\n", f"{GROUP}/cpu/cpu.cfs_period_us": "100000\n"}, 2.5),
        ({f"{GROUP}/cpu/cpu.cfs_quota_us": "-1\n", f"{GROUP}/cpu/cpu.cfs_period_us": "100000\n"}, None),
        (
            {
                "/proc/self/cgroup": "0::/pods/ours\n",
                f"{GROUP}/pods/cpu.max": "300000 100000\n",
                f"{GROUP}/pods/ours/cpu.max": "max 100000\n",
            },
            3.0,
        ),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/ours\n3:memory:/other\n",
                f"{GROUP}/cpu/ours/cpu.cfs_quota_us": "50000\n",
                f"{GROUP}/cpu/ours/cpu.cfs_period_us": "100000\n",
                f"{GROUP}/cpu/cpu.cfs_quota_us": "200000\n",
                f"{GROUP}/cpu/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
    ],
    ids=["no limit", "v2 max", "v2 1.5", "v2 0.5", "v1 2.5", "v1 none", "v2 of the parent", "v1 of both groups"],
)
def test_the_quota_is_the_tightest_of_all_groups_above_the_process(
    system_files: WriteFiles, contents: dict[str, str], quota: float | None
) -> None:
    system_files(contents)
    assert cgroup.cpu_quota() == quota


@pytest.mark.parametrize(
    ("contents", "limit"),
    [
        ({}, None),
        ({f"{GROUP}/memory.max": "max\n"}, None),
        ({f"{GROUP}/memory.max": "2147483648\n"}, 2**31),
        ({f"{GROUP}/memory/memory.limit_in_bytes": "1073741824\n"}, 2**30),
        ({f"{GROUP}/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        (
            {
                "/proc/self/cgroup": "0::/ours\n",
                f"{GROUP}/memory.max": "4294967296\n",
                f"{GROUP}/ours/memory.max": "2147483648\n",
            },
            2**31,
        ),
    ],
    ids=["no limit", "v2 max", "v2 2 GiB", "v1 1 GiB", "v1 none", "v2 of both groups"],
)
def test_the_memory_limit_is_the_tightest_of_all_groups_above_the_process(
    system_files: WriteFiles, contents: dict[str, str], limit: int | None
) -> None:
    system_files(contents)
    assert cgroup.memory_limit_bytes() == limit


@pytest.mark.parametrize(("limit", "expected"), [("max", 8192), ("1048576000", 1048.576), ("99999999999", 8192)])
def test_available_memory_is_bounded_by_the_machine_and_by_the_limit(
    system_files: WriteFiles, limit: str, expected: float
) -> None:
    system_files({"/proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n", f"{GROUP}/memory.max": limit})
    assert cgroup.available_memory_mb() == expected


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, 8192),
        ({f"{GROUP}/memory.max": "max"}, 8192),
        (
            {
                f"{GROUP}/memory.max": "4000000000",
                f"{GROUP}/memory.current": "3000000000",
                f"{GROUP}/memory.stat": "anon 1000000000\nactive_file 200000000\ninactive_file 300000000\n",
            },
            1500,
        ),
        (
            {
                f"{GROUP}/memory/memory.limit_in_bytes": "1000000000",
                f"{GROUP}/memory/memory.usage_in_bytes": "1100000000",
                f"{GROUP}/memory/memory.stat": "active_file 5\ntotal_active_file 0\ntotal_inactive_file 0\n",
            },
            0,
        ),
    ],
    ids=["no limit", "v2 max", "v2 with file cache", "v1 over its limit"],
)
def test_free_memory_leaves_out_what_is_in_use_but_not_the_file_cache(
    system_files: WriteFiles, contents: dict[str, str], expected: float
) -> None:
    system_files({"/proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n", **contents})
    assert cgroup.free_memory_mb() == expected


def test_this_machine_has_memory() -> None:
    assert cgroup.free_memory_mb() > 0
    assert cgroup.available_memory_mb() > 100
