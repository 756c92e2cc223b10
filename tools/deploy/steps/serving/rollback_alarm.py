"""The step for the alarms that roll an update back."""

from typing import Any

from tools.deploy.steps.monitoring.alarm_step import AlarmStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.variants import Variant

PERIOD_SECONDS = 60
# Two of three data points with more than 5 % of 5xx answers: one failed request among many does not end an update, and
# a fleet that cannot answer does so within three minutes. The update is watched for five (WATCH_SECONDS).
MOST_FAILED_SHARE = 0.05
DATAPOINTS = 3
DATAPOINTS_TO_ALARM = 2


class RollbackAlarmStep(AlarmStep):
    """Creates an alarm for each variant, which rolls back an update if too many answers of the new fleet are 5xx.

    An update of the endpoint gets the same alarm for its new fleet.
    """

    title = "rollback alarm"

    def change(self) -> str | None:
        """Name the alarms that are missing or watch something else."""
        outdated = self.outdated_alarms()
        if not outdated:
            return None
        return f"set {', '.join(outdated)} for more than {MOST_FAILED_SHARE:.0%} of 5xx answers"

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

    def wanted_alarms(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of PutMetricAlarm for each alarm, by its name."""
        if not self._config.rollback_alarm:
            return {}
        return {self._names.alarm(variant): self._request(variant) for variant in self._config.variants}

    def is_alarm(self, name: str) -> bool:
        """Return whether the name is one of these alarms."""
        return self._names.is_alarm(name)
