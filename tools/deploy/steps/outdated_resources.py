"""The step that removes what updates leave behind."""

from collections.abc import Sequence

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.history import History
from tools.deploy.steps.step import Step


class OutdatedResourcesStep(Step):
    """Removes models, configurations, alarms, permissions and artifacts that nothing uses.

    What the last configurations need stays, so that `rollback` can return to them.
    """

    title = "outdated resources"

    def __init__(self, deployment: Deployment, other_steps: Sequence[Step]) -> None:
        super().__init__(deployment)
        self._other_steps = other_steps

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Name the outdated resources. Before an update, these are resources that the endpoint still uses."""
        outdated = self._outdated()
        return f"remove {', '.join(map(str, outdated))}" if outdated else None

    def apply(self) -> None:
        """Remove the outdated resources."""
        for resource in self._outdated():
            resource.remove()

    def _outdated(self) -> list[OwnedResource]:
        outdated = [resource for step in reversed(self._other_steps) for resource in step.outdated_resources()]
        if not outdated:
            return []
        history = History(self._deployment)
        kept = {one["EndpointConfigName"] for one in history.kept} | {one["ModelName"] for one in history.kept_models}
        if kept:  # The role needs the permissions of the kept configurations.
            kept.add(self._names.role)
        return [one for one in outdated if one.name not in kept and not history.needs_key(one.name)]
