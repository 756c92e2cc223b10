"""What a figure was measured on: CPU, instruction set, cores, versions, commit, date. Figures without it say little."""

import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from model_loader.artifact import installed_version
from tools.local_server import PROGRAM_DIR
from tools.remote.instance_prices import physical_cores

GENERATOR_PACKAGES = ("aiohttp", "uvloop", "numpy")


def fingerprint(info: Mapping[str, Any], module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """One JSON object.

    Args:
        info: the server's /info; CPU and versions are the server's, which may be another machine.
        module: the tool that measured, such as tools.benchmark.
        arguments: its command line.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", module, *arguments]),
        "commit": _commit(),
        "cpu": {**info["cpu"], "cores": server_cores(info)},
        "versions": info["versions"],
        "server": info,
        "generator": {
            "python": platform.python_version(),
            **{package: installed_version(package) for package in GENERATOR_PACKAGES},
            "logical_cpus": len(os.sched_getaffinity(0)),
        },
    }


def server_cores(info: Mapping[str, Any]) -> int:
    """How many cores the server's lanes run on; of an endpoint, those of its instances. 0 where that is unknown."""
    if endpoint := info.get("endpoint"):
        return physical_cores(endpoint["instance_type"]) * int(endpoint["instances"])
    return len({core for lane in info["lanes"] for core in lane["cores"]})


def one_line(of: Mapping[str, Any]) -> str:
    """A fingerprint's model, CPU and date, for titles."""
    cpu = of["cpu"]
    return f"{of['server']['model']['name']} on {cpu['model']}, {cpu['isa']}, {cpu['cores']} cores, {of['date'][:10]}"


def _commit() -> str | None:
    """The checkout's commit, `-dirty` where files differ from it; None outside a checkout."""
    if not (PROGRAM_DIR / ".git").exists():
        return None
    command = ["git", "-C", str(PROGRAM_DIR), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
