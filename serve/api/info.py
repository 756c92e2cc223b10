"""What the server reports about a model: /info, /execution-parameters, and the gauges of /metrics."""

import platform

from container import contract
from model_loader.artifact import installed_version
from serve.lifecycle import Lifecycle

BATCH_TOTAL_MB = 100  # limit of MaxConcurrentTransforms * MaxPayloadInMB, by CreateTransformJob's documentation
BATCH_PAYLOAD_MB = 6  # the platform's own default; with larger batches the last line only waits longer
PACKAGES = ("torch", "intel-extension-for-pytorch", "tokenizers", "fastapi", "uvicorn", "gunicorn", "pydantic")


def info(lifecycle: Lifecycle) -> dict[str, object]:
    """Return the body of /info."""
    pool = lifecycle.pool
    return {
        "state": lifecycle.state,
        "version": contract.VERSION,
        "model": _model(lifecycle),
        "precisions": _precisions(lifecycle),
        "passed_over": lifecycle.passed_over,
        "cpu": {"model": lifecycle.cpu.model, "isa": lifecycle.cpu.isa, "quota": lifecycle.cpu.quota},
        "lanes": _lanes(lifecycle),
        "rungs": pool.rungs,
        "batches": _batches(lifecycle),
        "is_warm": lifecycle.supervisor.is_warm,
        "limits": {
            "max_payload_mb": lifecycle.settings.payload_limit_mb(is_json_lines=False),
            "max_characters": lifecycle.settings.max_characters,
        },
        "versions": {
            "python": platform.python_version(),
            **{package: installed_version(package) for package in PACKAGES},
        },
    }


def _model(lifecycle: Lifecycle) -> dict[str, object]:
    artifact = lifecycle.artifact
    return {
        "name": artifact.name,
        "has_manifest": artifact.manifest is not None,
        "max_seq_len": artifact.max_seq_len,
        "doc_stride": artifact.doc_stride,
        "no_answer_threshold": lifecycle.limits.no_answer_threshold,
        "temperature": artifact.temperature,
        "log_odds_shift": artifact.log_odds_shift,
    }


def _precisions(lifecycle: Lifecycle) -> dict[str, object]:
    manifest = lifecycle.artifact.manifest
    return {
        file.precision: {
            "engine": file.engine,
            "fused_groups": file.fused_groups,
            "sha256": manifest.precisions[file.precision].sha256 if manifest else None,
        }
        for file in lifecycle.pool.precisions.files.values()
    }


def _batches(lifecycle: Lifecycle) -> dict[str, list[dict[str, float]]]:
    """Return the shapes in which waiting windows share a call, and how many times as fast they are then."""
    batches = lifecycle.pool.batches
    return {
        precision: [
            {"windows": batch.windows, "tokens": batch.rung, "gain": round(batches.gain(precision, batch), 2)}
            for batch in batches.chosen(precision)
        ]
        for precision in lifecycle.pool.precisions.files
    }


def _lanes(lifecycle: Lifecycle) -> list[dict[str, object]]:
    return [
        {
            "name": lane.spec.name,
            "kind": lane.spec.kind,
            "cores": sorted(lane.spec.cores),
            "is_alive": lane.process is not None,
            "restarts": lane.restarts,
            "warm_rungs": {precision: list(rungs) for precision, rungs in lane.warm.items()},
        }
        for lane in lifecycle.pool.lanes
    ]


def execution_parameters(lifecycle: Lifecycle) -> dict[str, int | str]:
    """Return the body of /execution-parameters: enough requests at once to give every lane work."""
    concurrent = min(lifecycle.pool.parallel + 1, BATCH_TOTAL_MB // BATCH_PAYLOAD_MB)
    return {
        "MaxConcurrentTransforms": concurrent,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": min(BATCH_PAYLOAD_MB, lifecycle.settings.max_payload_mb or BATCH_PAYLOAD_MB),
    }


def refresh_gauges(lifecycle: Lifecycle) -> None:
    """Set the gauges of /metrics to their present values, and count what has ended."""
    metrics, pool = lifecycle.metrics, lifecycle.pool
    lifecycle.afterwards.flush()  # the counters include every request that has been answered
    metrics.ready.set(lifecycle.is_healthy)
    metrics.queue_windows.set(pool.waiting)
    metrics.queue_delay_seconds.set(lifecycle.engine.admission.queueing_delay_ms(windows=1) / 1000)
    for precision, reason in lifecycle.passed_over.items():
        metrics.passed_over.labels(precision, reason).set(1)
    for precision in pool.precisions.files:
        metrics.rungs_planned.labels(precision).set(len(pool.rungs))
        for lane in pool.lanes:
            metrics.rungs_warm.labels(lane.spec.name, precision).set(len(lane.warm.get(precision, ())))
    for lane in pool.lanes:
        metrics.lane_up.labels(lane.spec.name).set(lane.process is not None)
    for width, precision, rung, cost_ms in pool.costs.rows():
        metrics.rung_cost_seconds.labels(str(width), precision, str(rung)).set(cost_ms / 1000)
