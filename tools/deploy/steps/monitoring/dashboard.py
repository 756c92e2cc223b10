"""The dashboard of a deployment."""

import json
from functools import partial
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.monitoring.definitions import dashboard_body

NOT_FOUND = ("ResourceNotFound", "DashboardNotFoundError")
KIND = "dashboard"


class Dashboard:
    """Looks at the dashboard, makes it and changes it. Its name has the region, because AWS has one list for all."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._aws = deployment.aws
        self.name = deployment.names.dashboard
        self.arn = deployment.names.dashboard_arn

    def is_outdated(self) -> bool:
        """Return whether the dashboard is missing or shows something else."""
        present = self._present()
        return present is None or json.loads(present["DashboardBody"]) != json.loads(self._body())

    def put(self) -> None:
        """Make the dashboard, or replace its content.

        Raises: ToolError if a dashboard of this name exists and is not ours.
        """
        if self._present() is not None and not self.resources():
            raise self._deployment.ownership.foreign_error(f"the dashboard {self.name}")
        self._aws.call(
            "cloudwatch",
            "PutDashboard",
            DashboardName=self.name,
            DashboardBody=self._body(),
            Tags=self._deployment.tag_list,
        )

    def resources(self) -> list[OwnedResource]:
        """List the dashboard if it is ours."""
        if self._present() is None or not self._deployment.ownership.is_ours(self.tags()):
            return []
        delete = partial(self._aws.call, "cloudwatch", "DeleteDashboards", DashboardNames=[self.name])
        return [OwnedResource(KIND, self.name, delete)]

    def tags(self) -> list[dict[str, str]]:
        """Return the tags of the dashboard."""
        tags: list[dict[str, str]] = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=self.arn)["Tags"]
        return tags

    def _present(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._aws.find("cloudwatch", "GetDashboard", NOT_FOUND, DashboardName=self.name)
        return found

    def _body(self) -> str:
        return dashboard_body(self._deployment.config, self._deployment.names.arn("cloudwatch", "alarm:"))
