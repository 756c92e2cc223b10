"""The step for autoscaling."""

from functools import partial
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.serving.endpoint_state import describe_endpoint, is_foreign
from tools.deploy.steps.serving.scaling_target import target_load
from tools.deploy.steps.step import Step

_SERVICE = "application-autoscaling"
_NAMESPACE = {"ServiceNamespace": "sagemaker"}
_DIMENSION = {**_NAMESPACE, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
_METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
_UNITS = {"invocations": "invocations per minute", "concurrency": "concurrent requests"}


class ScalingStep(Step):
    """Registers a scalable target and a scaling policy for each variant, or removes them."""

    title = "scaling"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Describe the change if the limits or the target loads differ from the configuration."""
        config, present = self._config, self._present_targets()
        if not config.scales:
            return "stop scaling" if present else None
        if present == self._wanted_targets() and self._policies_are_set():
            return None
        loads = [f"{variant.name} at {target_load(config, variant):g}" for variant in config.variants]
        unit = "waiting requests" if config.mode == "async" else _UNITS[config.scale_by]
        limits = f"{config.instances} to {config.max_instances} instances"
        return f"scale {limits}: {', '.join(loads)} {unit} for each instance"

    def apply(self) -> None:
        """Register the wanted targets and policies, and deregister all others."""
        if self.change() is None:
            return
        present = self._present_targets()
        wanted = self._wanted_targets() if self._config.scales else {}
        if not wanted:
            # If this fails, the targets are still registered, and the next `up` comes here again.
            self._reset_instances()
        self.deregister([target for target in present if target not in wanted])
        for target, (fewest, most) in wanted.items():
            # AWS refuses tags in a request for a target that exists.
            tags = {} if target in present else {"Tags": self._deployment.tags}
            limits = {"MinCapacity": fewest, "MaxCapacity": most}
            self._aws.call(_SERVICE, "RegisterScalableTarget", **_DIMENSION, ResourceId=target, **limits, **tags)
        for target, policy in (self._wanted_policies() if wanted else {}).items():
            self._aws.call(
                _SERVICE,
                "PutScalingPolicy",
                **_DIMENSION,
                ResourceId=target,
                PolicyName=self._config.name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=policy,
            )

    def resources(self) -> list[OwnedResource]:
        """List the scalable targets of our endpoint. Their policies are removed with them."""
        return [
            OwnedResource("scaling", target, partial(self.deregister, [target])) for target in self._present_targets()
        ]

    def deregister(self, targets: list[str]) -> None:
        """Deregister scalable targets. AWS removes their policies and the policies' alarms."""
        for target in targets:
            self._aws.call(_SERVICE, "DeregisterScalableTarget", **_DIMENSION, ResourceId=target)

    def _reset_instances(self) -> None:
        """Set the configured number of instances. Without scaling, the last number would stay."""
        config = self._config
        desired = [{"VariantName": one.name, "DesiredInstanceCount": config.instances} for one in config.variants]
        self._aws.call(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=config.name,
            DesiredWeightsAndCapacities=desired,
        )

    def _wanted_targets(self) -> dict[str, tuple[int, int]]:
        """Return the fewest and the most instances of each wanted target."""
        limits = (self._config.instances, self._config.max_instances)
        return {self._names.scaling_target(variant.name): limits for variant in self._config.variants}

    def _present_targets(self) -> dict[str, tuple[int, int]]:
        """Return the fewest and the most instances of each registered target of our endpoint.

        The targets carry the name of the endpoint. If the endpoint is not ours, the targets are not ours either. If the
        endpoint does not exist, the targets may be left from our endpoint.
        """
        if is_foreign(self._deployment, describe_endpoint(self._deployment)):
            return {}
        targets = self._aws.list_all(_SERVICE, "DescribeScalableTargets", "ScalableTargets", **_NAMESPACE)
        return {
            target["ResourceId"]: (target["MinCapacity"], target["MaxCapacity"])
            for target in targets
            if target["ResourceId"].startswith(self._names.scaling_prefix)
        }

    def _wanted_policies(self) -> dict[str, dict[str, Any]]:
        config = self._config
        metric: dict[str, Any] = {"PredefinedMetricSpecification": {"PredefinedMetricType": _METRICS[config.scale_by]}}
        if config.mode == "async":  # The predefined metrics do not exist for asynchronous endpoints.
            metric = {
                "CustomizedMetricSpecification": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": "ApproximateBacklogSizePerInstance",
                    "Dimensions": [{"Name": "EndpointName", "Value": config.name}],
                    "Statistic": "Average",
                }
            }
        return {
            self._names.scaling_target(variant.name): {"TargetValue": target_load(config, variant), **metric}
            for variant in config.variants
        }

    def _policies_are_set(self) -> bool:
        """Return whether AWS has the wanted policies. AWS may add fields to a policy, which are not compared."""
        present = self._present_policies()
        return all(
            {field: present.get(target, {}).get(field) for field in policy} == policy
            for target, policy in self._wanted_policies().items()
        )

    def _present_policies(self) -> dict[str, dict[str, Any]]:
        policies = self._aws.list_all(_SERVICE, "DescribeScalingPolicies", "ScalingPolicies", **_NAMESPACE)
        return {
            policy["ResourceId"]: policy["TargetTrackingScalingPolicyConfiguration"]
            for policy in policies
            if policy["ResourceId"].startswith(self._names.scaling_prefix) and policy["PolicyName"] == self._config.name
        }
