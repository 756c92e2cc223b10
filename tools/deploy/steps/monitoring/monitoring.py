"""The step for the alarms that tell people, the metric filters that feed them, and the dashboard."""

import re
from typing import Any

from container.precision import PRECISIONS
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.monitoring.alarm_step import AlarmStep
from tools.deploy.steps.monitoring.dashboard import Dashboard
from tools.deploy.steps.monitoring.definitions import GUARD, LANES_LOST, REFUSALS, alarm_requests
from tools.deploy.steps.monitoring.log_metrics import LogMetrics
from tools.deploy.variants import WHOLE_VARIANT

_VARIANTS = "|".join((WHOLE_VARIANT, *PRECISIONS))
_OF_LOG = "|".join(one.name for one in (REFUSALS, LANES_LOST, GUARD))


class MonitoringStep(AlarmStep):
    """Creates alarms on SageMaker's metrics and on the server's log, and a dashboard; or removes them.

    The alarms are created first and removed last. Without any of them, nothing else is looked for, so that users of
    deployments without alarms need no permissions for logs and dashboards.
    """

    title = "alarms and dashboard"

    def change(self) -> str | None:
        """Name what is missing or differs."""
        if not self._config.alarms:
            return None
        parts = [f"the alarm {name}" for name in self.outdated_alarms()]
        parts += [f"the metric filter {one['filterName']}" for one in LogMetrics(self._deployment).outdated()]
        dashboard = Dashboard(self._deployment)
        parts += [f"the dashboard {dashboard.name}"] if dashboard.is_outdated() else []
        return f"set {', '.join(parts)}" if parts else None

    def apply(self) -> None:
        """Set what is missing or differs.

        Raises: ToolError if something of such a name exists and is not ours.
        """
        if not self._config.alarms:
            return
        super().apply()
        LogMetrics(self._deployment).put()
        dashboard = Dashboard(self._deployment)
        if dashboard.is_outdated():
            dashboard.put()

    def resources(self) -> list[OwnedResource]:
        """List what we have, in the order of removal: the alarms last."""
        alarms = self.alarms()
        if not alarms and not self._config.alarms:
            return []
        return [*Dashboard(self._deployment).resources(), *LogMetrics(self._deployment).resources(), *alarms]

    def outdated_resources(self) -> list[OwnedResource]:
        """List the alarms of earlier variants, or everything if the configuration has no alarms any more."""
        return super().outdated_resources() if self._config.alarms else self.resources()

    def wanted_alarms(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of PutMetricAlarm for each alarm, by its name."""
        return alarm_requests(self._config) if self._config.alarms else {}

    def is_alarm(self, name: str) -> bool:
        """Return whether `definitions` may have made an alarm of this name."""
        pattern = rf"{self._config.name}-(({_VARIANTS})-(errors|latency)|{_OF_LOG})"
        return re.fullmatch(pattern, name) is not None
