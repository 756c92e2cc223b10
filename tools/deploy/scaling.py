"""Steps for what reacts: autoscaling, with a target from a benchmark, and the alarm that rolls an update back."""

import json
from pathlib import Path
from typing import Any

from container.precision import PRECISIONS
from tools.deploy.config import Deployment, Variant
from tools.deploy.site import Resource, Site
from tools.errors import ToolError

SAFETY_FACTOR = 0.5  # "start with a SAFETY_FACTOR of 0.5": Load testing your auto scaling configuration
_SERVICE = {"ServiceNamespace": "sagemaker"}
_DIMENSION = {"ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
_METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
ALARM_PERIOD_SECONDS = 60


def target_of(config: Deployment, variant: Variant) -> float:
    """What an instance should take: as configured, or half of the best closed loop of the variant's precision.

    A variant that serves all precisions is taken by its default, the fastest. By invocations: a minute.

    Raises: ToolError.
    """
    if config.scale_target is not None or config.benchmark is None:
        return float(config.scale_target or 1)
    rows, instances = _closed_rows(config.benchmark)
    wanted = variant.precision or next((p for p in PRECISIONS if any(row["precision"] == p for row in rows)), None)
    rows = [row for row in rows if row["precision"] == wanted]
    if not rows:
        raise ToolError(f"{config.benchmark} has no closed loop of {wanted or 'any precision'}: run `make benchmark`")
    best = max(rows, key=lambda row: row["queries_per_second"])
    if config.scale_by == "invocations":
        return float(round(best["queries_per_second"] / instances * SAFETY_FACTOR * 60, 1))
    return float(max(1, round(best["clients"] / instances * SAFETY_FACTOR, 1)))


def _closed_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Its closed loops, and how many instances they ran on."""
    try:
        report = json.loads(path.read_text())
        rows = [
            row
            for row in report["rows"]
            if row["clients"] and row["queries_per_second"] > 0 and row["precision"] in PRECISIONS
        ]
        return rows, report["price"].get("instances", 1)
    except OSError as error:
        raise ToolError(f"cannot read {path}: {error.strerror}. `make benchmark` writes it") from None
    except (ValueError, KeyError, TypeError):
        raise ToolError(f"{path} is no benchmark.json of `make benchmark`") from None


class Scaling:
    """A target and a policy for each variant."""

    title = "scaling"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where limits or targets differ."""
        config = self._site.config
        if config.scales:
            if self._found_targets() == self._targets() and self._policies_are_set():
                return None
            parts = [f"{v.name} at {target_of(config, v):g}" for v in config.variants]
            unit = "invocations a minute" if config.scale_by == "invocations" else "requests under way"
            unit = "waiting requests" if config.mode == "async" else unit
            return f"scale {config.instances} to {config.max_instances} instances: {', '.join(parts)} {unit} each"
        return "stop scaling" if self._found_targets() else None

    def apply(self) -> None:
        """Register, or take back what is no longer wanted."""
        if self.change() is None:
            return
        found = self._found_targets()
        wanted = self._targets() if self._site.config.scales else {}
        if not wanted:
            self._reset_instances()  # first: once nothing is registered, nothing would call for it again
        self.forget([name for name in found if name not in wanted])
        for resource_id, (fewest, most) in wanted.items():
            tags = {} if resource_id in found else {"Tags": self._site.tags}  # refused for one that exists
            self._site.aws.call(
                "application-autoscaling",
                "RegisterScalableTarget",
                **_SERVICE,
                **_DIMENSION,
                ResourceId=resource_id,
                MinCapacity=fewest,
                MaxCapacity=most,
                **tags,
            )
        for resource_id, policy in (self._policies() if wanted else {}).items():
            self._site.aws.call(
                "application-autoscaling",
                "PutScalingPolicy",
                **_SERVICE,
                **_DIMENSION,
                ResourceId=resource_id,
                PolicyName=self._site.config.name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=policy,
            )

    def resources(self) -> list[Resource]:
        """The targets of our endpoint, with their policies."""
        return [
            Resource("scaling", resource_id, lambda resource_id=resource_id: self.forget([resource_id]))  # type: ignore[misc]
            for resource_id in self._found_targets()
        ]

    def forget(self, resource_ids: list[str]) -> None:
        """Deregister; the policies and their alarms go with it."""
        for resource_id in resource_ids:
            self._site.aws.call(
                "application-autoscaling", "DeregisterScalableTarget", **_SERVICE, **_DIMENSION, ResourceId=resource_id
            )

    def _reset_instances(self) -> None:
        """What no longer scales stays as large as it last was, until it is told otherwise."""
        config = self._site.config
        desired = [{"VariantName": one.name, "DesiredInstanceCount": config.instances} for one in config.variants]
        self._site.aws.call(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=config.name,
            DesiredWeightsAndCapacities=desired,
        )

    def _targets(self) -> dict[str, tuple[int, int]]:
        config = self._site.config
        return {self._id(variant): (config.instances, config.max_instances) for variant in config.variants}

    def _policies(self) -> dict[str, dict[str, Any]]:
        config = self._site.config
        metric: dict[str, Any] = {"PredefinedMetricSpecification": {"PredefinedMetricType": _METRICS[config.scale_by]}}
        if config.mode == "async":  # which publishes none of those
            metric = {
                "CustomizedMetricSpecification": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": "ApproximateBacklogSizePerInstance",
                    "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
                    "Statistic": "Average",
                }
            }
        return {self._id(variant): {"TargetValue": target_of(config, variant), **metric} for variant in config.variants}

    def _id(self, variant: Variant) -> str:
        return f"endpoint/{self._site.config.name}/variant/{variant.name}"

    def _found_targets(self) -> dict[str, tuple[int, int]]:
        """Those of our endpoint. A target has the endpoint's name, so it is as much ours as that is."""
        if self._site.endpoint_is_foreign():
            return {}
        pages = self._site.aws.pages(
            "application-autoscaling", "DescribeScalableTargets", "ScalableTargets", **_SERVICE
        )
        ours = f"endpoint/{self._site.config.name}/"
        return {
            one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"])
            for one in pages
            if one["ResourceId"].startswith(ours)
        }

    def _policies_are_set(self) -> bool:
        """AWS may add fields of its own to a policy."""
        found = self._found_policies()
        return all(
            {key: found.get(name, {}).get(key) for key in policy} == policy for name, policy in self._policies().items()
        )

    def _found_policies(self) -> dict[str, dict[str, Any]]:
        pages = self._site.aws.pages(
            "application-autoscaling", "DescribeScalingPolicies", "ScalingPolicies", **_SERVICE
        )
        ours = f"endpoint/{self._site.config.name}/"
        return {
            one["ResourceId"]: one["TargetTrackingScalingPolicyConfiguration"]
            for one in pages
            if one["ResourceId"].startswith(ours) and one["PolicyName"] == self._site.config.name
        }


class RollbackAlarm:
    """One for each variant: any 5xx in a minute, and an update under way goes back."""

    title = "rollback alarm"

    def __init__(self, site: Site) -> None:
        self._site = site

    def change(self) -> str | None:
        """Where one is missing."""
        missing = self._missing()
        return f"create {', '.join(missing)}: 5xx answers in {ALARM_PERIOD_SECONDS} s" if missing else None

    def apply(self) -> None:
        """Create what is missing."""
        site = self._site
        for name, variant in self._missing().items():
            if name in self._found():
                raise site.refuse(f"the alarm {name}")
            site.aws.call(
                "cloudwatch",
                "PutMetricAlarm",
                AlarmName=name,
                Namespace="AWS/SageMaker",
                MetricName="Invocation5XXErrors",
                Dimensions=[
                    {"Name": "EndpointName", "Value": site.config.name},
                    {"Name": "VariantName", "Value": variant.name},
                ],
                Statistic="Sum",
                Period=ALARM_PERIOD_SECONDS,
                EvaluationPeriods=1,
                Threshold=0,
                ComparisonOperator="GreaterThanThreshold",
                TreatMissingData="notBreaching",
                Tags=site.tag_list,
            )

    def resources(self) -> list[Resource]:
        """Ours, of earlier variants too."""
        aws = self._site.aws
        return [
            Resource("alarm", name, lambda name=name: aws.call("cloudwatch", "DeleteAlarms", AlarmNames=[name]))  # type: ignore[misc]
            for name, arn in self._found().items()
            if self._site.is_ours(aws.call("cloudwatch", "ListTagsForResource", ResourceARN=arn)["Tags"])
        ]

    def retire(self) -> list[Resource]:
        """Those of ours that the configuration no longer names."""
        wanted = self._wanted()
        return [one for one in self.resources() if one.name not in wanted]

    def _wanted(self) -> dict[str, Variant]:
        config = self._site.config
        return {self._site.alarm_name(v): v for v in config.variants} if config.rollback_alarm else {}

    def _missing(self) -> dict[str, Variant]:
        wanted = self._wanted()
        ours = {one.name for one in self.resources()} if wanted else set()
        return {name: variant for name, variant in wanted.items() if name not in ours}

    def _found(self) -> dict[str, str]:
        """Name to ARN of all alarms that begin like ours."""
        prefix = f"{self._site.config.name}-"
        pages = self._site.aws.pages("cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=prefix)
        return {one["AlarmName"]: one["AlarmArn"] for one in pages}
