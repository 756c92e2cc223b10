"""The load at which autoscaling should keep each instance, from the configuration or from a benchmark."""

import json
from pathlib import Path
from typing import Any

from container.precision import PRECISIONS
from tools.deploy.config import DeploymentConfig, Variant
from tools.errors import ToolError

SAFETY_FACTOR = 0.5  # AWS's "Load testing your auto scaling configuration": "start with a SAFETY_FACTOR of 0.5"


def target_load(config: DeploymentConfig, variant: Variant) -> float:
    """Return the load for each instance of a variant, in invocations per minute or in concurrent requests.

    Without a configured value, the target is half of the benchmark's best closed loop in the variant's precision. A
    variant that serves all precisions counts with its default precision, which is the fastest.

    Raises: ToolError if the benchmark cannot be read or did not measure the precision.
    """
    if config.scale_target is not None or config.benchmark is None:
        return float(config.scale_target or 1)
    rows, instances = _read_closed_loops(config.benchmark)
    measured = [p for p in PRECISIONS if any(row["precision"] == p for row in rows)]
    precision = variant.precision or next(iter(measured), None)
    rows = [row for row in rows if row["precision"] == precision]
    if not rows:
        raise ToolError(
            f"{config.benchmark} has no closed loop of {precision or 'any precision'}: run `make benchmark` again"
        )
    best = max(rows, key=lambda row: row["queries_per_second"])
    if config.scale_by == "invocations":
        return float(round(best["queries_per_second"] / instances * SAFETY_FACTOR * 60, 1))
    return float(max(1, round(best["clients"] / instances * SAFETY_FACTOR, 1)))


def _read_closed_loops(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the closed loops of a benchmark's report, and the number of instances that the benchmark measured."""
    try:
        report = json.loads(path.read_text())
        rows = [
            row
            for row in report["rows"]
            if row["clients"] and row["queries_per_second"] > 0 and row["precision"] in PRECISIONS
        ]
        return rows, report["price"].get("instances", 1)
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}. `make benchmark` writes such a file") from None
    except (ValueError, KeyError, TypeError):
        raise ToolError(f"{path} is not a benchmark.json from `make benchmark`") from None
