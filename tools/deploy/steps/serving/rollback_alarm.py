"""The step for the alarms that roll an update back."""

from functools import partial

from tools.deploy.config import Variant
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.step import Step

PERIOD_SECONDS = 60


class RollbackAlarmStep(Step):
    """Creates an alarm for each variant. Any 5xx answer within a minute rolls back an update that is in progress."""

    title = "rollback alarm"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Name the alarms that are missing."""
        missing = self._missing_alarms()
        return f"create {', '.join(missing)} for 5xx answers within {PERIOD_SECONDS} s" if missing else None

    def apply(self) -> None:
        """Create the alarms that are missing.

        Raises: ToolError if an alarm of such a name exists and is not ours.
        """
        for name, variant in self._missing_alarms().items():
            if name in self._alarm_arns():
                raise self._ownership.foreign_error(f"the alarm {name}")
            self._create(name, variant)

    def resources(self) -> list[OwnedResource]:
        """List our alarms, also those of earlier variants."""
        resources = []
        for name, arn in self._alarm_arns().items():
            tags = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=arn)["Tags"]
            if self._ownership.is_ours(tags):
                delete = partial(self._aws.call, "cloudwatch", "DeleteAlarms", AlarmNames=[name])
                resources.append(OwnedResource("alarm", name, delete))
        return resources

    def outdated_resources(self) -> list[OwnedResource]:
        """List our alarms that the present configuration does not use."""
        wanted = self._wanted_alarms()
        return [resource for resource in self.resources() if resource.name not in wanted]

    def _create(self, name: str, variant: Variant) -> None:
        self._aws.call(
            "cloudwatch",
            "PutMetricAlarm",
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocation5XXErrors",
            Dimensions=[
                {"Name": "EndpointName", "Value": self._config.name},
                {"Name": "VariantName", "Value": variant.name},
            ],
            Statistic="Sum",
            Period=PERIOD_SECONDS,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            Tags=self._deployment.tag_list,
        )

    def _wanted_alarms(self) -> dict[str, Variant]:
        if not self._config.rollback_alarm:
            return {}
        return {self._names.alarm(variant): variant for variant in self._config.variants}

    def _missing_alarms(self) -> dict[str, Variant]:
        wanted = self._wanted_alarms()
        ours = {resource.name for resource in self.resources()} if wanted else set()
        return {name: variant for name, variant in wanted.items() if name not in ours}

    def _alarm_arns(self) -> dict[str, str]:
        """Return the ARNs of all alarms, by name, whose names begin like those of the deployment."""
        alarms = self._aws.list_all(
            "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNamePrefix=f"{self._config.name}-"
        )
        return {alarm["AlarmName"]: alarm["AlarmArn"] for alarm in alarms}
