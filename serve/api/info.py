"""What the server reports about a model: /info and /execution-parameters."""

import platform

from container import contract
from model_loader.artifact import installed_version
from serve.lifecycle import Lifecycle

BATCH_TOTAL_MB = 100  # limit of MaxConcurrentTransforms * MaxPayloadInMB, by CreateTransformJob's documentation
BATCH_PAYLOAD_MB = 6  # the platform's own default; with larger batches the last line only waits longer
PACKAGES = (
    "torch",
    "intel-extension-for-pytorch",
    "openvino",
    "tokenizers",
    "fastapi",
    "uvicorn",
    "gunicorn",
    "pydantic",
)


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
        "costs": _costs(lifecycle),
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
        "task": artifact.task,
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


def _costs(lifecycle: Lifecycle) -> list[dict[str, object]]:
    """Return the expected time of a pass, by the number of cores of its lane, by precision and by rung."""
    return [
        {"cores": width, "precision": precision, "tokens": rung, "ms": round(cost_ms, 3)}
        for width, precision, rung, cost_ms in lifecycle.pool.costs.rows()
    ]


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
