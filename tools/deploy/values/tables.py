"""The tables of the file whose keys are names of others: the server's settings, and boto3's operations."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from container.settings import Settings, variable_names

SIMILARITY = 0.8  # MAX_QUEU_SECONDS and MAX_QUEUE_SECONDS have 0.97; no two settings of the server have 0.95
# The operations whose parameters depend on the configuration. The tool sends no request of another operation that
# somebody may want to change; a test compares the list with the requests that it sends.
OPERATIONS = (
    "CreateBucket", "PutPublicAccessBlock", "PutBucketTagging", "PutObject", "CreateRepository", "CreateRole",
    "PutRolePolicy", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities", "PutMetricAlarm", "RegisterScalableTarget", "PutScalingPolicy",
    "PutMetricFilter", "PutDashboard", "CreateTransformJob", "InvokeEndpoint", "InvokeEndpointAsync",
)  # fmt: skip
_LISTS_OF_VARIANTS = ("ProductionVariants", "DesiredWeightsAndCapacities")


def settings() -> list[str]:
    """Return the names of all environment variables that the server reads."""
    return [name for field in Settings.model_fields for name in variable_names(field)]


def misspelt_settings(environment: Mapping[str, str]) -> list[str]:
    """Return a warning for each name that resembles a setting of the server, which would ignore it.

    A short name may resemble one and still be meant for a library, such as DNNL_MAX_CPU_ISA.
    """
    known = sorted({name.upper() for name in settings()})
    near = {
        name: get_close_matches(name.upper(), known, n=1, cutoff=SIMILARITY) for name in further_variables(environment)
    }
    return [
        f"{name} is not a setting of the server, and resembles {one[0]} (docs/settings.md)"
        for name, one in near.items()
        if one
    ]


def further_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the names that are no settings of the server, but may be meant for a library in the container."""
    known = {name.upper() for name in settings()}
    return [name for name in environment if name.upper() not in known]


def check_overrides(overrides: Mapping[str, Mapping[str, Any]], variants: Iterable[str]) -> None:
    """Refuse overrides of operations that the tool does not use, and of variants that the configuration does not have.

    Raises: ValueError.
    """
    names = list(variants)
    for operation, parameters in overrides.items():
        if operation not in OPERATIONS:
            near = get_close_matches(operation, OPERATIONS, n=1)
            advice = f"write {near[0]}" if near else f"name one of {', '.join(OPERATIONS)}"
            raise ValueError(f"[overrides.{operation}] would change nothing, because `up` does not use it: {advice}")
        for key in _LISTS_OF_VARIANTS:
            given = parameters.get(key)
            unknown = sorted(set(given) - set(names)) if isinstance(given, Mapping) else []
            if unknown:
                raise ValueError(
                    f"[overrides.{operation}.{key}] names {', '.join(unknown)}, which it does not have; it has "
                    f"{', '.join(names)}"
                )
