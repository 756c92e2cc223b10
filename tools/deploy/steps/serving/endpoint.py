"""The step for the endpoint."""

import time
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import call_with_retry
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.endpoint_state import describe_current_config, describe_endpoint, is_foreign
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.deploy.steps.step import Step
from tools.errors import ToolError

POLL_SECONDS = 10
WATCH_SECONDS = 300  # How long the alarms watch an update before AWS terminates the old instances.
# AWS needs minutes to provide an instance, and then the container has up to `startup_seconds`. AWS gives up earlier.
WAIT_SECONDS = 45 * 60
_FINAL_STATUSES = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


class EndpointStep(Step):
    """Creates the endpoint or moves it to the new configuration, and waits until it is in service."""

    title = "endpoint"

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
            return f"update {name} from {present} to {wanted}"
        return None if status == "InService" else f"wait for {name}, whose status is {status}"

    def apply(self) -> None:
        """Bring the endpoint into service with the wanted configuration, whatever its status is now.

        Raises: ToolError if the endpoint is not ours, or does not come into service.
        """
        name = self._config.name
        endpoint = describe_endpoint(self._deployment)
        if is_foreign(self._deployment, endpoint):
            raise self._ownership.foreign_error(f"the endpoint {name}")
        endpoint = self._wait() if endpoint else None
        if endpoint and endpoint["EndpointStatus"] == "Failed":
            self._delete()
            endpoint = None
        if endpoint is None:
            self._create()
        elif endpoint["EndpointConfigName"] != self._wanted_config():
            self._update(endpoint)
        endpoint = self._wait() or {}
        if endpoint.get("EndpointStatus") != "InService" or endpoint["EndpointConfigName"] != self._wanted_config():
            reason = endpoint.get("FailureReason", "AWS gave no reason; an alarm may have rolled the update back")
            raise ToolError(
                f"the endpoint does not run the wanted configuration: {reason}. "
                f"The container's log is in CloudWatch, in the group /aws/sagemaker/Endpoints/{name}"
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

    def _wanted_config(self) -> str:
        return EndpointConfigStep(self._deployment).config_name()

    def _create(self) -> None:
        request = {
            "EndpointName": self._config.name,
            "EndpointConfigName": self._wanted_config(),
            "Tags": self._deployment.tag_list,
        }
        call_with_retry(self._deployment, "CreateEndpoint", request)

    def _update(self, endpoint: dict[str, Any]) -> None:
        config = self._config
        removed = {v["VariantName"] for v in endpoint.get("ProductionVariants", [])}
        removed -= {variant.name for variant in config.variants}
        self._stop_scaling(removed)
        request: dict[str, Any] = {"EndpointName": config.name, "EndpointConfigName": self._wanted_config()}
        request["RetainAllVariantProperties"] = config.scales and not removed
        if request["RetainAllVariantProperties"]:  # Keep the number of instances, but take the new weights.
            request["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": "DesiredWeight"}]
        if config.rollback_alarm and config.mode != "serverless":
            request["DeploymentConfig"] = self._blue_green_update()
        call_with_retry(self._deployment, "UpdateEndpoint", request)

    def _stop_scaling(self, removed: set[str]) -> None:
        """Stop the scaling of variants that the update removes or moves to another instance type.

        AWS refuses such an update while the variants scale.
        """
        moved = {
            variant["VariantName"]
            for variant in describe_current_config(self._deployment).get("ProductionVariants", [])
            if variant.get("InstanceType") != self._config.instance
        }
        scaling = ScalingStep(self._deployment)
        present = {resource.name for resource in scaling.resources()}
        targets = {self._names.scaling_target(name) for name in removed | moved}
        scaling.deregister(sorted(targets & present))

    def _blue_green_update(self) -> dict[str, Any]:
        """Return the part of UpdateEndpoint's request that lets the alarms roll the update back."""
        alarms = [{"AlarmName": self._names.alarm(variant)} for variant in self._config.variants]
        routing = {
            "Type": "CANARY",
            "WaitIntervalInSeconds": WATCH_SECONDS,
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        }
        if self._config.instances == 1:  # A single instance has no tenth. The old one is kept equally long.
            routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        return {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                "TerminationWaitInSeconds": WATCH_SECONDS,
            },
            "AutoRollbackConfiguration": {"Alarms": alarms},
        }

    def _wait(self) -> dict[str, Any] | None:
        """Wait until the endpoint is not being created, updated or deleted. Return None if it does not exist any more.

        Raises: ToolError after WAIT_SECONDS.
        """
        name, begin = self._config.name, time.monotonic()
        while time.monotonic() - begin < WAIT_SECONDS:
            endpoint = describe_endpoint(self._deployment)
            if endpoint is None or endpoint["EndpointStatus"] in _FINAL_STATUSES:
                return endpoint
            seconds = time.monotonic() - begin
            self._deployment.report(f"endpoint {name}: {endpoint['EndpointStatus']}, {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        raise ToolError(
            f"{name} is still not in service after {WAIT_SECONDS / 60:g} minutes: run the same command to wait again"
        )

    def _delete(self) -> None:
        self._wait()  # AWS does not delete an endpoint that is being created or updated.
        self._aws.call("sagemaker", "DeleteEndpoint", EndpointName=self._config.name)
        self._wait()
