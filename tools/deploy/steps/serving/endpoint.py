"""The step for the endpoint."""

from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import FAILED_TOO_EARLY, call_with_retry
from tools.deploy.steps.history import History
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.endpoint_state import (
    describe_config,
    describe_current_config,
    describe_endpoint,
    is_foreign,
    wait_until_settled,
)
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.deploy.steps.serving.update_policy import further_instances, update_policy
from tools.deploy.steps.step import Step
from tools.errors import ToolError
from tools.remote.client import instance_types_of

MOST_REPLACEMENTS = 2  # An attempt takes minutes. By the third one, AWS sees a new role everywhere.


class EndpointStep(Step):
    """Creates the endpoint or moves it to the new configuration, and waits until it is in service."""

    title = "endpoint"

    def __init__(self, deployment: Deployment, target: str = "") -> None:
        """Prepare a move to the configuration `target`, or to the one of the deployment's values."""
        super().__init__(deployment)
        self._scaling = ScalingStep(deployment)
        self._target = target

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Describe the change if the endpoint is missing, has failed, or uses another configuration."""
        name, endpoint = self._config.name, describe_endpoint(self._deployment)
        if endpoint is None:
            return f"create {name}, {self._config.mode}"
        status, present, wanted = endpoint["EndpointStatus"], endpoint["EndpointConfigName"], self._wanted_config()
        if status == "Failed":
            return f"replace {name}, which has failed: {endpoint.get('FailureReason', 'AWS gave no reason')}"
        if present != wanted:
            more = further_instances(self._config)
            types = " or ".join(self._config.instance_types)
            price = f"; until the old ones end, {more} more {types} run" if more else ""
            return f"update {name} from {present} to {wanted}{price}{self._describe_ended_scaling()}"
        return None if status == "InService" else f"wait for {name}, whose status is {status}"

    def apply(self) -> None:
        """Bring the endpoint into service with the wanted configuration, whatever its status is now.

        Raises: ToolError if the endpoint is not ours, or does not come into service.
        """
        name = self._config.name
        endpoint = describe_endpoint(self._deployment)
        if is_foreign(self._deployment, endpoint):
            raise self._ownership.foreign_error(f"the endpoint {name}")
        endpoint = wait_until_settled(self._deployment) if endpoint else None
        if endpoint and endpoint["EndpointStatus"] == "Failed":
            self._delete()
            endpoint = None
        if endpoint is None:
            self._create()
            self._create_again_if_too_early()
        elif endpoint["EndpointConfigName"] != self._wanted_config():
            with self._scaling.kept(always=bool(self._target)):
                self._update()
                self._check()
            return
        self._check()

    def _check(self) -> None:
        """Wait until the endpoint runs the wanted configuration.

        Raises: ToolError if it does not.
        """
        endpoint = wait_until_settled(self._deployment) or {}
        if endpoint.get("EndpointStatus") != "InService" or endpoint["EndpointConfigName"] != self._wanted_config():
            reason = endpoint.get("FailureReason", "AWS gave no reason; an alarm may have rolled the update back")
            raise ToolError(
                f"the endpoint does not run the wanted configuration: {reason}. The container's log is in CloudWatch, "
                f"in the group /aws/sagemaker/Endpoints/{self._config.name}"
            )

    def resources(self) -> list[OwnedResource]:
        """List the endpoint if it is ours."""
        endpoint = describe_endpoint(self._deployment)
        if endpoint is None or is_foreign(self._deployment, endpoint):
            return []
        return [OwnedResource("endpoint", self._config.name, self._delete, endpoint["EndpointStatus"])]

    def status_lines(self) -> list[str]:
        """Return one line for each variant."""
        endpoint = describe_endpoint(self._deployment) or {}
        return [
            f"variant {variant['VariantName']}: instances {variant.get('CurrentInstanceCount', '-')}, "
            f"weight {variant.get('CurrentWeight', '-')}"
            for variant in endpoint.get("ProductionVariants", [])
        ]

    def _describe_ended_scaling(self) -> str:
        """Name the variants whose scaling ends with the update, because the new configuration does not have them."""
        wanted = {self._names.scaling_target(variant.name) for variant in self._config.variants}
        ended = [one.name for one in self._scaling.resources() if one.kind == "scaling" and one.name not in wanted]
        variants = ", ".join(sorted(name.removeprefix(self._names.scaling_prefix) for name in ended))
        return f"; the scaling of {variants} ends with {'them' if ', ' in variants else 'it'}" if variants else ""

    def _wanted_config(self) -> str:
        return self._target or EndpointConfigStep(self._deployment).config_name()

    def _create(self) -> None:
        request = {
            "EndpointName": self._config.name,
            "EndpointConfigName": self._wanted_config(),
            "Tags": self._deployment.tag_list,
        }
        call_with_retry(self._deployment, "sagemaker", "CreateEndpoint", request)

    def _create_again_if_too_early(self) -> None:
        """Replace the new endpoint if it has failed because AWS did not see the permissions of its role in time."""
        for _ in range(MOST_REPLACEMENTS):
            endpoint = wait_until_settled(self._deployment) or {}
            reason = endpoint.get("FailureReason", "")
            if endpoint.get("EndpointStatus") != "Failed" or not FAILED_TOO_EARLY.search(reason):
                return
            self._deployment.report(f"AWS did not see the new role in time ({reason}). The endpoint is created again.")
            self._delete()
            self._create()

    def _update(self) -> None:
        present = _instance_types(describe_current_config(self._deployment))
        wanted = _instance_types(describe_config(self._deployment, self._wanted_config()))
        # AWS refuses to remove a variant that scales, and to move it to another instance type.
        moved = [name for name, instance in present.items() if wanted.get(name) != instance]
        registered = {resource.name for resource in self._scaling.resources()}
        self._scaling.deregister([t for t in map(self._names.scaling_target, moved) if t in registered])
        request: dict[str, Any] = {"EndpointName": self._config.name, "EndpointConfigName": self._wanted_config()}
        request.update(self._retained(has_same_variants=set(present) <= set(wanted)))
        if (policy := update_policy(self._config, self._names)) and not self._target:
            request["DeploymentConfig"] = policy  # Its alarms watch the configuration of the deployment's values.
        if not self._target:
            History(self._deployment).remember(self._wanted_config())
        call_with_retry(self._deployment, "sagemaker", "UpdateEndpoint", request)

    def _retained(self, *, has_same_variants: bool) -> dict[str, Any]:
        """Return what an update keeps: the number of instances but not the weights, if AWS can.

        A rollback always keeps the number, because no value of the configuration fits the present load.
        """
        is_rollback = bool(self._target) and self._config.mode != "serverless"
        is_kept = (self._config.scales or is_rollback) and has_same_variants
        if is_rollback:
            numbers = "numbers of instances stay, and the weights" if is_kept else "variants, weights and instances"
            self._deployment.report(f"The {numbers} will be those of {self._target}.")
        if not is_kept:
            return {"RetainAllVariantProperties": False}
        weights = [{"VariantPropertyType": "DesiredWeight"}]
        return {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": weights}

    def _delete(self) -> None:
        wait_until_settled(self._deployment)  # AWS does not delete an endpoint that is being created or updated.
        self._aws.call("sagemaker", "DeleteEndpoint", EndpointName=self._config.name)
        wait_until_settled(self._deployment)


def _instance_types(config: dict[str, Any]) -> dict[str, str]:
    """Return the instance types of each variant of an endpoint configuration, separated by commas."""
    return {one["VariantName"]: instance_types_of(one) for one in config.get("ProductionVariants", [])}
