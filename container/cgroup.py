"""The container's limits: CPU quota and memory, from cgroup v2 or v1, the tightest on the way up from this process."""

from collections.abc import Iterator
from pathlib import Path

ROOT = "/sys/fs/cgroup"


def cpu_quota() -> float | None:
    """CPU time limit in cores; None where there is none."""
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


def memory_bytes() -> int | None:
    """Memory limit in bytes; None where there is none."""
    limits = []
    for folder in _folders("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            if (folder / name).exists() and (text := (folder / name).read_text().strip()) != "max":
                limits.append(int(text))
    limit = min(limits, default=None)
    return None if limit is None or limit >= 2**60 else limit  # v1 says "none" with a number near 2**63


def available_memory_mb() -> float:
    """Megabytes that may be used: what is free on this machine, and no more than the container's limit."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (free_kb,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    limit = memory_bytes()
    free = free_kb * 1024
    return min(free, limit if limit is not None else free) / 1e6


def free_memory_mb() -> float:
    """Megabytes that could be used beside what is in use now; file cache counts as free."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (free_kb,) = (int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    free = [free_kb * 1024]
    for folder in _folders("memory"):
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            if (folder / limit).exists() and (text := (folder / limit).read_text().strip()) != "max":
                free.append(int(text) - int((folder / usage).read_text()) + _file_cache_bytes(folder))
    return max(0, min(free)) / 1e6


def _file_cache_bytes(folder: Path) -> int:
    fields = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    # v1 counts the groups below only in fields of their own
    return sum(int(fields.get(f"total_{name}", fields.get(name, 0))) for name in ("active_file", "inactive_file"))


def _folders(controller: str) -> Iterator[Path]:
    """This process's own control group and all above it, in both hierarchies. In a container its own is the root."""
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
