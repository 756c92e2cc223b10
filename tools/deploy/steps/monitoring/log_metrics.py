"""The metric filters of a deployment, which count lines of the container's log."""

from contextlib import suppress
from functools import partial
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.monitoring.definitions import LOG_METRICS, NAMESPACE, filter_request, log_group
from tools.remote.aws import AwsError

NO_GROUP = "ResourceNotFoundException"
GROUP_EXISTS = "ResourceAlreadyExistsException"
KIND = "metric filter"


class LogMetrics:
    """Looks at the metric filters in the log group of the endpoint, and sets them.

    Filters have no tags. Those with our names that fill our metrics are ours: the log group belongs to the endpoint.
    """

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._aws = deployment.aws
        self._config = deployment.config
        self._group = log_group(deployment.config)

    def outdated(self) -> list[dict[str, Any]]:
        """Return the requests for the filters that AWS does not have in this form."""
        present = self._present()
        wanted = [filter_request(self._config, metric) for metric in LOG_METRICS]
        return [one for one in wanted if {key: present.get(one["filterName"], {}).get(key) for key in one} != one]

    def put(self) -> None:
        """Set the filters that differ. SageMaker makes the log group with the first line, which may be late."""
        for request in self.outdated():
            try:
                self._aws.call("logs", "PutMetricFilter", **request)
            except AwsError as error:
                if error.code != NO_GROUP:
                    raise
                self._create_group()
                self._aws.call("logs", "PutMetricFilter", **request)

    def resources(self) -> list[OwnedResource]:
        """List our filters."""
        return [OwnedResource(KIND, name, partial(self._delete, name)) for name in self._present()]

    def _create_group(self) -> None:
        with suppress(AwsError):  # SageMaker may have been faster; the next request says what is wrong otherwise
            self._aws.call("logs", "CreateLogGroup", logGroupName=self._group)

    def _delete(self, name: str) -> None:
        self._aws.call("logs", "DeleteMetricFilter", logGroupName=self._group, filterName=name)

    def _present(self) -> dict[str, dict[str, Any]]:
        """Return our filters by their names."""
        names = {filter_request(self._config, metric)["filterName"] for metric in LOG_METRICS}
        namespace = f"{NAMESPACE}/{self._config.name}"
        try:
            found = list(
                self._aws.list_all(
                    "logs",
                    "DescribeMetricFilters",
                    "metricFilters",
                    logGroupName=self._group,
                    filterNamePrefix=f"{self._config.name}-",
                )
            )
        except AwsError as error:
            if error.code != NO_GROUP:
                raise
            return {}
        return {
            one["filterName"]: one
            for one in found
            if one["filterName"] in names
            and any(each["metricNamespace"] == namespace for each in one["metricTransformations"])
        }
