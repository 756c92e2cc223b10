"""The policies of autoscaling, and the load at which they should keep each instance."""

import json
from pathlib import Path
from typing import Any

from container.precision import PRECISIONS
from tools.deploy.config import DeploymentConfig
from tools.deploy.names import Names
from tools.deploy.variants import Variant
from tools.errors import ToolError

METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
WAKE_COOLDOWN_SECONDS = 300  # the value of AWS's example; a new instance needs some minutes
SAFETY_FACTOR = 0.5  # AWS's "Load testing your auto scaling configuration": "start with a SAFETY_FACTOR of 0.5"


def wanted_policies(config: DeploymentConfig, names: Names) -> list[dict[str, Any]]:
    """Return the parameters of PutScalingPolicy for each policy, without the dimension."""
    policies: list[dict[str, Any]] = [
        {
            "ResourceId": names.scaling_target(variant.name),
            "PolicyName": config.name,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": target_load(config, variant),
                **_metric(config),
            },
        }
        for variant in config.variants
    ]
    return [*policies, wake_policy(config, names)] if config.scale_to_zero else policies


def _metric(config: DeploymentConfig) -> dict[str, Any]:
    if config.mode != "async":
        return {"PredefinedMetricSpecification": {"PredefinedMetricType": METRICS[config.scale_by]}}
    return {  # The predefined metrics do not exist for asynchronous endpoints.
        "CustomizedMetricSpecification": {
            "Namespace": "AWS/SageMaker",
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
            "Statistic": "Average",
        }
    }


def wake_policy(config: DeploymentConfig, names: Names) -> dict[str, Any]:
    """Return the policy that starts the first instance: without instances, there is no backlog per instance.

    https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
    """
    return {
        "ResourceId": names.scaling_target(config.variants[0].name),
        "PolicyName": names.wake_policy,
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": WAKE_COOLDOWN_SECONDS,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }


def wake_alarm(config: DeploymentConfig, names: Names, policy_arn: str) -> dict[str, Any]:
    """Return the parameters of PutMetricAlarm for the alarm that starts the first instance."""
    return {
        "AlarmName": names.wake_alarm,
        "Namespace": "AWS/SageMaker",
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy_arn],
    }


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
