"""What the server says of itself: /info, /execution-parameters, and the gauges of /metrics."""

import platform

from container import contract
from model_loader.artifact import installed_version
from serve.lifecycle import Lifecycle

BATCH_TOTAL_MB = 100  # MaxConcurrentTransforms * MaxPayloadInMB may not exceed it: CreateTransformJob's documentation
BATCH_PAYLOAD_MB = 6  # the platform's own default; larger batches only wait longer for their last line
PACKAGES = ("torch", "intel-extension-for-pytorch", "tokenizers", "fastapi", "uvicorn", "gunicorn", "pydantic")


def info(lifecycle: Lifecycle) -> dict[str, object]:
    """The body of /info."""
    artifact, pool = lifecycle.artifact, lifecycle.pool
    engines = {model.precision: model for model in artifact.models}
    return {
        "state": lifecycle.state,
        "version": contract.VERSION,
        "model": {
            "name": artifact.name,
            "has_manifest": artifact.manifest is not None,
            "max_seq_len": artifact.max_seq_len,
            "doc_stride": artifact.doc_stride,
        },
        "precisions": {
            precision: {
                "engine": engines[precision].engine,
                "fused_groups": engines[precision].fused_groups,
                "sha256": artifact.manifest.precisions[precision].sha256 if artifact.manifest else None,
            }
            for precision in pool.precisions.files
        },
        "passed_over": lifecycle.passed_over,
        "cpu": {"model": lifecycle.cpu.model, "isa": lifecycle.cpu.isa, "quota": lifecycle.cpu.quota},
        "lanes": [
            {
                "name": slot.spec.name,
                "kind": slot.spec.kind,
                "cores": sorted(slot.spec.cores),
                "is_alive": slot.process is not None,
                "restarts": slot.restarts,
                "warm_rungs": {precision: sorted(rungs) for precision, rungs in slot.warm.items()},
            }
            for slot in pool.slots
        ],
        "rungs": pool.rungs,
        "is_warm": pool.is_warm,
        "versions": {
            "python": platform.python_version(),
            **{package: installed_version(package) for package in PACKAGES},
        },
    }


def execution_parameters(lifecycle: Lifecycle) -> dict[str, int | str]:
    """The body of /execution-parameters: enough requests at once to keep every lane at work."""
    concurrent = min(lifecycle.pool.parallel + 1, BATCH_TOTAL_MB // BATCH_PAYLOAD_MB)
    return {
        "MaxConcurrentTransforms": concurrent,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": min(BATCH_PAYLOAD_MB, lifecycle.settings.max_payload_mb or BATCH_PAYLOAD_MB),
    }


def refresh_gauges(lifecycle: Lifecycle) -> None:
    """Set the gauges to what is true now."""
    metrics, pool = lifecycle.metrics, lifecycle.pool
    metrics.ready.set(lifecycle.is_healthy)
    metrics.queue_windows.set(pool.waiting)
    metrics.queue_delay_seconds.set(pool.wait_ms(1) / 1000)
    for precision, reason in lifecycle.passed_over.items():
        metrics.passed_over.labels(precision, reason).set(1)
    for precision in pool.precisions.files:
        metrics.rungs_planned.labels(precision).set(len(pool.rungs))
        for slot in pool.slots:
            metrics.rungs_warm.labels(slot.spec.name, precision).set(len(slot.warm.get(precision, ())))
    for slot in pool.slots:
        metrics.lane_up.labels(slot.spec.name).set(slot.process is not None)
    for width, precision, rung, cost_ms in pool.prices.rows():
        metrics.rung_cost_seconds.labels(str(width), precision, str(rung)).set(cost_ms / 1000)
