"""The step for the alarms that roll an update back."""

from functools import partial
from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.step import Step
from tools.deploy.variants import Variant

PERIOD_SECONDS = 60
# Two of three data points with more than 5 % of 5xx answers: one failed request among many does not end an update, and
# a fleet that cannot answer does so within three minutes. The update is watched for five (WATCH_SECONDS).
MOST_FAILED_SHARE = 0.05
DATAPOINTS = 3
DATAPOINTS_TO_ALARM = 2


class RollbackAlarmStep(Step):
    """Creates an alarm for each variant, which rolls back an update if too many answers of the new fleet are 5xx."""

    title = "rollback alarm"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Name the alarms that are missing or watch something else."""
        outdated = self._outdated_alarms()
        if not outdated:
            return None
        return f"set {', '.join(outdated)} for more than {MOST_FAILED_SHARE:.0%} of 5xx answers"

    def apply(self) -> None:
        """Set the alarms. An update of the endpoint gets the same alarm for its new fleet.

        Raises: ToolError if an alarm of such a name exists and is not ours.
        """
        ours = {resource.name for resource in self.resources()}
        present = self._present_alarms()
        for name, request in self._outdated_alarms().items():
            if name in present and name not in ours:
                raise self._ownership.foreign_error(f"the alarm {name}")
            self._aws.call("cloudwatch", "PutMetricAlarm", **request, Tags=self._deployment.tag_list)

    def resources(self) -> list[OwnedResource]:
        """List our alarms, also those of earlier variants."""
        resources = []
        for name, alarm in self._present_alarms().items():
            tags = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=alarm["AlarmArn"])["Tags"]
            if self._ownership.is_ours(tags):
                delete = partial(self._aws.call, "cloudwatch", "DeleteAlarms", AlarmNames=[name])
                resources.append(OwnedResource("alarm", name, delete))
        return resources

    def outdated_resources(self) -> list[OwnedResource]:
        """List our alarms that the present configuration does not use."""
        wanted = self._wanted_alarms()
        return [resource for resource in self.resources() if resource.name not in wanted]

    def _request(self, variant: Variant) -> dict[str, Any]:
        """Return the parameters of PutMetricAlarm.

        The dimension EndpointConfigName keeps the old fleet out, whose errors would end the update that repairs them:
        https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
        """
        return {
            "AlarmName": self._names.alarm(variant),
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation5XXErrors",  # AWS counts 1 for each 5xx answer and 0 for each other one
            "Dimensions": [
                {"Name": "EndpointName", "Value": self._config.name},
                {"Name": "VariantName", "Value": variant.name},
                {"Name": "EndpointConfigName", "Value": EndpointConfigStep(self._deployment).config_name()},
            ],
            "Statistic": "Average",
            "Period": PERIOD_SECONDS,
            "EvaluationPeriods": DATAPOINTS,
            "DatapointsToAlarm": DATAPOINTS_TO_ALARM,
            "Threshold": MOST_FAILED_SHARE,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
        }

    def _wanted_alarms(self) -> dict[str, dict[str, Any]]:
        if not self._config.rollback_alarm:
            return {}
        return {self._names.alarm(variant): self._request(variant) for variant in self._config.variants}

    def _outdated_alarms(self) -> dict[str, dict[str, Any]]:
        """Return the requests for the alarms that AWS does not have in this form."""
        wanted = self._wanted_alarms()
        present = self._present_alarms() if wanted else {}
        return {
            name: request
            for name, request in wanted.items()
            if _comparable({key: present.get(name, {}).get(key) for key in request}) != _comparable(request)
        }

    def _present_alarms(self) -> dict[str, dict[str, Any]]:
        """Return all alarms, by name, that have names of the deployment."""
        alarms = self._aws.list_all(
            "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=f"{self._config.name}-"
        )
        return {alarm["AlarmName"]: alarm for alarm in alarms if self._names.is_alarm(alarm["AlarmName"])}


def _comparable(alarm: dict[str, Any]) -> dict[str, Any]:
    """Return a copy whose dimensions are sorted, because AWS may return them in another order."""
    return {**alarm, "Dimensions": sorted(one["Name"] + one["Value"] for one in alarm["Dimensions"] or ())}
