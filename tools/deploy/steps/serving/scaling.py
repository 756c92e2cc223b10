"""The step for autoscaling."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import call_with_retry
from tools.deploy.steps.serving.endpoint_state import describe_endpoint, is_foreign
from tools.deploy.steps.serving.scaling_policies import target_load, wake_alarm, wanted_policies
from tools.deploy.steps.step import Step
from tools.errors import ToolError

_SERVICE = "application-autoscaling"
_NAMESPACE = {"ServiceNamespace": "sagemaker"}
_DIMENSION = {**_NAMESPACE, "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
_POLICY_FIELDS = (
    "ResourceId",
    "PolicyName",
    "PolicyType",
    "TargetTrackingScalingPolicyConfiguration",
    "StepScalingPolicyConfiguration",
)
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
            variants = sorted(target.removeprefix(self._names.scaling_prefix) for target in present)
            return f"stop scaling {', '.join(variants)}" if present else None
        if present == self._wanted_targets() and self._policies_are_set():
            return None
        loads = [f"{variant.name} at {target_load(config, variant):g}" for variant in config.variants]
        unit = "waiting requests" if config.mode == "async" else _UNITS[config.scale_by]
        limits = f"{config.fewest_instances} to {config.max_instances} instances"
        return f"scale {limits}: {', '.join(loads)} {unit} for each instance"

    def apply(self) -> None:
        """Register the wanted targets and policies, and deregister all others."""
        if self.change() is None:
            return
        present = self._present_targets()
        wanted = self._wanted_targets() if self._config.scales else {}
        policies = wanted_policies(self._config, self._names) if wanted else []
        names = {policy["PolicyName"] for policy in policies}
        superfluous = {one["ResourceId"] for one in self._describe("ScalingPolicies") if one["PolicyName"] not in names}
        # A target loses its policies with its registration.
        removed = [target for target in present if target not in wanted or target in superfluous]
        self.deregister(removed)
        for target, (fewest, most) in wanted.items():
            # AWS refuses tags in a request for a target that exists.
            tags = {} if target in present and target not in removed else {"Tags": self._deployment.tags}
            limits = {"MinCapacity": fewest, "MaxCapacity": most}
            self._register({**_DIMENSION, "ResourceId": target, **limits, **tags})
        for policy in policies:
            self._put_policy({**_DIMENSION, **policy})
        if self._config.scale_to_zero:
            alarm = wake_alarm(self._config, self._names, self._wake_policy_arn())
            self._aws.call("cloudwatch", "PutMetricAlarm", **alarm, Tags=self._deployment.tag_list)

    def resources(self) -> list[OwnedResource]:
        """List the scalable targets of our endpoint, whose policies go with them, and the alarm that wakes it."""
        targets = [
            OwnedResource("scaling", target, partial(self.deregister, [target])) for target in self._present_targets()
        ]
        alarm = self._present_alarm()
        if alarm is None or not self._is_our_alarm(alarm):
            return targets
        delete = partial(self._aws.call, "cloudwatch", "DeleteAlarms", AlarmNames=[self._names.wake_alarm])
        return [*targets, OwnedResource("alarm", self._names.wake_alarm, delete)]

    def outdated_resources(self) -> list[OwnedResource]:
        """List the alarm that wakes the endpoint if the configuration does not use it."""
        if self._config.scale_to_zero:
            return []
        return [one for one in self.resources() if one.name == self._names.wake_alarm]

    def target_arns(self) -> dict[str, str]:
        """Return the ARN of each scalable target of our endpoint. Targets from before March 2023 may have none."""
        ours = self._present_targets()
        found = self._describe("ScalableTargets")
        return {
            one["ResourceId"]: one["ScalableTargetARN"]
            for one in found
            if one["ResourceId"] in ours and one.get("ScalableTargetARN")
        }

    def deregister(self, targets: list[str]) -> None:
        """Deregister scalable targets. AWS removes their policies and the policies' alarms."""
        for target in targets:
            self._aws.call(_SERVICE, "DeregisterScalableTarget", **_DIMENSION, ResourceId=target)

    @contextmanager
    def kept(self, *, always: bool) -> Iterator[None]:
        """Register again what an update has deregistered, if the update fails. `always`: also if it succeeds.

        Raises: ToolError, which says whether the endpoint scales now.
        """
        targets, policies = self._describe("ScalableTargets"), self._describe("ScalingPolicies")
        try:
            yield
        except ToolError as error:
            raise ToolError(f"{error}\n{self._register_again(targets, policies)}".rstrip()) from None
        if always and (sentence := self._register_again(targets, policies)):
            self._deployment.report(sentence)

    def _register_again(self, targets: list[dict[str, Any]], policies: list[dict[str, Any]]) -> str:
        """Register the targets that are not registered now. Return a sentence about it, or nothing without any."""
        try:
            present, endpoint = self._present_targets(), describe_endpoint(self._deployment) or {}
            variants = {one["VariantName"] for one in endpoint.get("ProductionVariants", [])}
            possible = {self._names.scaling_target(name) for name in variants} - set(present)
            lost = [target for target in targets if target["ResourceId"] in possible]
            for target in lost:
                limits = {key: target[key] for key in ("ResourceId", "MinCapacity", "MaxCapacity")}
                self._register({**_DIMENSION, **limits, "Tags": self._deployment.tags})
            for policy in policies:
                if policy["ResourceId"] in {target["ResourceId"] for target in lost}:
                    kept = {key: value for key, value in policy.items() if key in _POLICY_FIELDS and value}
                    self._put_policy({**_DIMENSION, **kept})
        except ToolError as error:
            return f"The endpoint does not scale now, because autoscaling could not be registered again: {error}"
        return "Autoscaling is registered again, as before the update." if lost else ""

    def _register(self, request: dict[str, Any]) -> None:
        call_with_retry(self._deployment, _SERVICE, "RegisterScalableTarget", request)

    def _put_policy(self, request: dict[str, Any]) -> None:
        call_with_retry(self._deployment, _SERVICE, "PutScalingPolicy", request)

    def _wanted_targets(self) -> dict[str, tuple[int, int]]:
        """Return the fewest and the most instances of each wanted target."""
        limits = (self._config.fewest_instances, self._config.max_instances)
        return {self._names.scaling_target(variant.name): limits for variant in self._config.variants}

    def _present_targets(self) -> dict[str, tuple[int, int]]:
        """Return the fewest and the most instances of each registered target of our endpoint.

        The targets carry the name of the endpoint. If the endpoint is not ours, the targets are not ours either. If the
        endpoint does not exist, the targets may be left from our endpoint.
        """
        if is_foreign(self._deployment, describe_endpoint(self._deployment)):
            return {}
        return {
            target["ResourceId"]: (target["MinCapacity"], target["MaxCapacity"])
            for target in self._describe("ScalableTargets")
        }

    def _policies_are_set(self) -> bool:
        """Return whether AWS has the wanted policies and no other. AWS may add fields, which are not compared."""
        wanted, present = wanted_policies(self._config, self._names), self._describe("ScalingPolicies")
        if len(present) != len(wanted) or not all(any(_contains(has, one) for has in present) for one in wanted):
            return False
        if not self._config.scale_to_zero:
            return True
        alarm = wake_alarm(self._config, self._names, self._wake_policy_arn())
        return _contains(self._present_alarm() or {}, alarm)

    def _wake_policy_arn(self) -> str:
        found = self._describe("ScalingPolicies")
        return next((str(one["PolicyARN"]) for one in found if one["PolicyName"] == self._names.wake_policy), "")

    def _present_alarm(self) -> dict[str, Any] | None:
        response = self._aws.call("cloudwatch", "DescribeAlarms", AlarmNames=[self._names.wake_alarm])
        return next(iter(response["MetricAlarms"]), None)

    def _is_our_alarm(self, alarm: dict[str, Any]) -> bool:
        tags = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=alarm["AlarmArn"])["Tags"]
        return self._ownership.is_ours(tags)

    def _describe(self, kind: str) -> list[dict[str, Any]]:
        """Return the ScalableTargets or the ScalingPolicies of the endpoint's variants."""
        found = self._aws.list_all(_SERVICE, f"Describe{kind}", kind, **_NAMESPACE)
        return [one for one in found if one["ResourceId"].startswith(self._names.scaling_prefix)]


def _contains(present: Any, wanted: Any) -> bool:
    """Return whether AWS's value has all fields of the wanted one, with the same values."""
    if isinstance(wanted, dict) and isinstance(present, dict):
        return all(_contains(present.get(key), value) for key, value in wanted.items())
    return bool(present == wanted)
