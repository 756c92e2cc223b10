"""The base of the steps that set alarms of CloudWatch."""

from abc import abstractmethod
from functools import partial
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.step import Step


class AlarmStep(Step):
    """Sets the alarms that the configuration wants, and removes those that it does not want any more."""

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    @abstractmethod
    def wanted_alarms(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of PutMetricAlarm for each alarm, by its name."""

    @abstractmethod
    def is_alarm(self, name: str) -> bool:
        """Return whether this step may have made an alarm of this name."""

    def apply(self) -> None:
        """Set the alarms that differ.

        Raises: ToolError if an alarm of such a name exists and is not ours.
        """
        ours = {resource.name for resource in self.alarms()}
        present = self.present_alarms()
        for name, request in self.outdated_alarms().items():
            if name in present and name not in ours:
                raise self._ownership.foreign_error(f"the alarm {name}")
            self._aws.call("cloudwatch", "PutMetricAlarm", **request, Tags=self._deployment.tag_list)

    def resources(self) -> list[OwnedResource]:
        """List our alarms, also those of earlier variants."""
        return self.alarms()

    def outdated_resources(self) -> list[OwnedResource]:
        """List our alarms that the present configuration does not use."""
        wanted = self.wanted_alarms()
        return [resource for resource in self.alarms() if resource.name not in wanted]

    def alarms(self) -> list[OwnedResource]:
        """List our alarms of this step."""
        resources = []
        for name, alarm in self.present_alarms().items():
            tags = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=alarm["AlarmArn"])["Tags"]
            if self._ownership.is_ours(tags):
                delete = partial(self._aws.call, "cloudwatch", "DeleteAlarms", AlarmNames=[name])
                resources.append(OwnedResource("alarm", name, delete))
        return resources

    def outdated_alarms(self) -> dict[str, dict[str, Any]]:
        """Return the requests for the alarms that AWS does not have in this form."""
        wanted = self.wanted_alarms()
        present = self.present_alarms() if wanted else {}
        return {
            name: request
            for name, request in wanted.items()
            if _comparable({key: present.get(name, {}).get(key) for key in request}) != _comparable(request)
        }

    def present_alarms(self) -> dict[str, dict[str, Any]]:
        """Return all alarms, by name, that have names of this step."""
        alarms = self._aws.list_all(
            "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=f"{self._config.name}-"
        )
        return {alarm["AlarmName"]: alarm for alarm in alarms if self.is_alarm(alarm["AlarmName"])}


def _comparable(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return a copy whose dimensions are sorted, because AWS may return them in another order."""
    return {**alarm, "Dimensions": sorted(one["Name"] + one["Value"] for one in alarm["Dimensions"] or ())}
