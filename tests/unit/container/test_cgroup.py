"""The container's limits, on control groups made of files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from container import cgroup

GROUP = "/sys/fs/cgroup"
Files = Callable[[dict[str, str]], None]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Files:
    """Writes these files, absolute path and content, to where the code looks."""

    def write(contents: dict[str, str]) -> None:
        for path, content in contents.items():
            file = tmp_path / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    monkeypatch.setattr(cgroup, "Path", lambda path: tmp_path / path.lstrip("/"))
    return write


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
    ids=["none", "v2 max", "v2 1.5", "v2 0.5", "v1 2.5", "v1 none", "v2 of a parent", "v1 own and a parent's"],
)
def test_the_quota_is_the_tightest_on_the_way_up(files: Files, contents: dict[str, str], quota: float | None) -> None:
    files(contents)
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
    ids=["none", "v2 max", "v2 2 GiB", "v1 1 GiB", "v1 none", "v2 own and a parent's"],
)
def test_the_memory_limit_is_the_tightest_on_the_way_up(
    files: Files, contents: dict[str, str], limit: int | None
) -> None:
    files(contents)
    assert cgroup.memory_bytes() == limit


@pytest.mark.parametrize(("limit", "expected"), [("max", 8192), ("1048576000", 1048.576), ("99999999999", 8192)])
def test_available_is_what_is_free_and_allowed(files: Files, limit: str, expected: float) -> None:
    files({"/proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n", f"{GROUP}/memory.max": limit})
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
    ids=["none", "v2 max", "v2 with file cache", "v1 over its limit"],
)
def test_free_is_what_is_not_in_use(files: Files, contents: dict[str, str], expected: float) -> None:
    files({"/proc/meminfo": "MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n", **contents})
    assert cgroup.free_memory_mb() == expected


def test_this_machine_has_memory() -> None:
    assert cgroup.free_memory_mb() > 0
    assert cgroup.available_memory_mb() > 100
