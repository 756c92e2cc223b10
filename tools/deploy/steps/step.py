"""The interface of a step."""

from abc import ABC, abstractmethod
from typing import ClassVar

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource


class Step(ABC):
    """One part of a deployment, such as the bucket or the endpoint. Every method may raise ToolError."""

    title: ClassVar[str]
    only_checks: ClassVar[bool] = False  # Whether the step creates and changes nothing.

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._aws = deployment.aws
        self._config = deployment.config
        self._names = deployment.names
        self._ownership = deployment.ownership

    def is_needed(self) -> bool:
        """Return whether the configured mode has this step."""
        return True

    @abstractmethod
    def change(self) -> str | None:
        """Describe what `apply` would do, or return None if everything is up to date. Do not change anything."""

    @abstractmethod
    def apply(self) -> None:
        """Make the change. This is safe to call again after a failure, and does nothing if all is up to date."""

    def resources(self) -> list[OwnedResource]:
        """List what this step created and what still exists, whatever the configured mode is now."""
        return []

    def outdated_resources(self) -> list[OwnedResource]:
        """List what earlier configurations created and what the present configuration does not use."""
        return []

    def status_lines(self) -> list[str]:
        """Return what `status` prints about this step in addition to its resources."""
        return []
