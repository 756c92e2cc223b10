"""Read the container's limits on CPU time and memory from Linux control groups, version 1 or 2.

A process must also keep the limits of every group above its own, so each function considers all of these groups and
returns the tightest limit.
"""

from collections.abc import Iterator
from pathlib import Path

ROOT = "/sys/fs/cgroup"
# Version 1 has no word for "no limit": it reports a number close to 2**63.
NO_LIMIT_BYTES = 2**60


def cpu_quota() -> float | None:
    """Return the limit on CPU time in cores, or None if there is no limit."""
    quotas = []
    for folder in _folders("cpu"):
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        elif (folder / "cpu.cfs_quota_us").exists():
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text()
        else:
            continue
        if quota not in ("max", "-1"):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def memory_limit_bytes() -> int | None:
    """Return the limit on memory in bytes, or None if there is no limit."""
    limits = []
    for folder in _folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).exists() and (text := (folder / name).read_text().strip()) != "max":
                limits.append(int(text))
    limit = min(limits, default=None)
    return None if limit is None or limit >= NO_LIMIT_BYTES else limit


def available_memory_mb() -> float:
    """Return the memory in megabytes that the server can plan with when it starts.

    The result is the machine's available memory, or the container's limit if that is smaller.
    """
    available = _machine_available_bytes()
    limit = memory_limit_bytes()
    return (available if limit is None else min(available, limit)) / 1e6


def free_memory_mb() -> float:
    """Return the memory in megabytes that is still unused, on this machine and within the container's limit.

    The file cache counts as unused, because the kernel drops it when a process needs the memory.
    """
    free = [_machine_available_bytes()]
    for folder in _folders("memory"):
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            if (folder / limit).exists() and (text := (folder / limit).read_text().strip()) != "max":
                free.append(int(text) - int((folder / usage).read_text()) + _file_cache_bytes(folder))
    return max(0, min(free)) / 1e6


def _machine_available_bytes() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    (available_kb,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return available_kb * 1024


def _file_cache_bytes(folder: Path) -> int:
    fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    # In version 1, only the fields named total_* include the groups below this one.
    return sum(int(fields.get(f"total_{name}", fields.get(name, 0))) for name in ("active_file", "inactive_file"))


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control group and of all groups above it, for version 1 and version 2.

    Inside a container, the container's own group is usually the root.
    """
    roots = {Path(ROOT): "/", Path(f"{ROOT}/{controller}"): "/"}
    membership = Path("/proc/self/cgroup")
    for line in membership.read_text().splitlines() if membership.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            roots[Path(ROOT)] = path
        elif controller in controllers.split(","):
            roots[Path(f"{ROOT}/{controller}")] = path
    for root, path in roots.items():
        folder = root / path.lstrip("/")
        while True:
            yield folder
            if folder == root:
                break
            folder = folder.parent
