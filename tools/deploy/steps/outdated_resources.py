"""The step that removes what an update leaves behind."""

from collections.abc import Sequence

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.step import Step


class OutdatedResourcesStep(Step):
    """Removes the models, configurations, alarms, permissions and artifacts that the endpoint no longer uses."""

    title = "outdated resources"

    def __init__(self, deployment: Deployment, other_steps: Sequence[Step]) -> None:
        super().__init__(deployment)
        self._other_steps = other_steps

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Name the outdated resources. Before an update, these are the resources that the endpoint still uses."""
        outdated = self._outdated()
        return f"remove {', '.join(map(str, outdated))}" if outdated else None

    def apply(self) -> None:
        """Remove the outdated resources."""
        for resource in self._outdated():
            resource.remove()

    def _outdated(self) -> list[OwnedResource]:
        return [resource for step in reversed(self._other_steps) for resource in step.outdated_resources()]
