"""The fingerprint of a measurement: CPU, instruction set, cores, versions, commit and date.

A figure means little without these, so every report contains its fingerprint.
"""

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


def take_fingerprint(info: Mapping[str, Any], command: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Return the fingerprint as a JSON object.

    Args:
        info: the body of the server's /info. Its CPU and versions are those of the machine that the server runs on.
        command: the package of the command that takes the measurement, such as tools.benchmark.
        arguments: the command line of that command.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", command, *arguments]),
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
    """Return the number of cores of the server's lanes, or of an endpoint's instances; 0 if the number is unknown."""
    if endpoint := info.get("endpoint"):
        return physical_cores(endpoint["instance_type"]) * int(endpoint["instances"])
    return len({core for lane in info["lanes"] for core in lane["cores"]})


def summary_line(fingerprint: Mapping[str, Any]) -> str:
    """Return model, CPU and date of a fingerprint in one line, for titles."""
    cpu, name = fingerprint["cpu"], fingerprint["server"]["model"]["name"]
    return f"{name} on {cpu['model']}, {cpu['isa']}, {cpu['cores']} cores, {fingerprint['date'][:10]}"


def _commit() -> str | None:
    """Return the commit of the checkout, with `-dirty` if files differ from it; None outside a checkout."""
    if not (PROGRAM_DIR / ".git").exists():
        return None
    command = ["git", "-C", str(PROGRAM_DIR), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
