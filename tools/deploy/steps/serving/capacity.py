"""The step for the weights of the variants and the number of their instances."""

from typing import Any

from tools.deploy.steps.serving.endpoint_state import describe_endpoint, wait_until_settled
from tools.deploy.steps.step import Step


class CapacityStep(Step):
    """Sets weights and numbers of instances without a new endpoint configuration, which would replace all instances.

    While a variant scales, Application Auto Scaling sets its number of instances.
    """

    title = "weights and instances"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint with instances."""
        return self._config.has_endpoint and self._config.mode != "serverless"

    def change(self) -> str | None:
        """Describe the weights and the numbers of instances that the endpoint does not have yet."""
        changes = [
            ", ".join([one["VariantName"], *(f"{_WORDS[key]} {one[key]:g}" for key in _WORDS if key in one)])
            for one in self._changes()
        ]
        return f"set {'; '.join(changes)}" if changes else None

    def apply(self) -> None:
        """Set what differs, and wait until the endpoint has it."""
        changes = self._changes()
        if not changes:
            return
        self._aws.call(
            "sagemaker",
            "UpdateEndpointWeightsAndCapacities",
            EndpointName=self._config.name,
            DesiredWeightsAndCapacities=changes,
        )
        wait_until_settled(self._deployment)

    def _changes(self) -> list[dict[str, Any]]:
        endpoint = describe_endpoint(self._deployment) or {}
        present = {variant["VariantName"]: variant for variant in endpoint.get("ProductionVariants", [])}
        changes = []
        for variant in self._config.variants:
            wanted: dict[str, Any] = {"DesiredWeight": variant.weight}
            if not self._config.scales:
                wanted["DesiredInstanceCount"] = self._config.instances
            found = present.get(variant.name, wanted)  # The endpoint will get a new variant with these values.
            if any(found.get(key) != value for key, value in wanted.items()):
                changes.append({"VariantName": variant.name, **wanted})
        return changes


_WORDS = {"DesiredWeight": "weight", "DesiredInstanceCount": "instances"}
