"""The alarms, metric filters and dashboard that `python -m tools.deploy up --alarms` creates.

docs/deploy.md says when each alarm fires, and docs/logs.md has the lines that the filters count.
"""

from collections.abc import Iterator
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

FILTERS = {  # The name of each filter: its metric, and the pattern of the lines that it counts.
    "Refusals": (
        "Refusals",
        '{ $.message = "invocation" && ($.status = 429 || $.status = 503 || $.status = 507) }',
    ),
    "LanesLost": (
        "LanesLost",
        '{ $.logger = "serve.lanes.supervisor" && ($.message = "lane *" || $.message = "cannot start lane *") }',
    ),
    "Guard": ("GuardDisagreements", '{ $.logger = "serve.qa.guard" && $.level = "WARNING" }'),
    "LogErrors": ("LogErrors", '{ $.level = "ERROR" }'),
}
LOG_ALARMS = ("refusals", "lanes-lost", "guard")


class Monitoring:
    """Adds alarms, metric filters and a dashboard for an endpoint to a stack."""

    def __init__(self, stack: Stack, endpoint: sagemaker.CfnEndpoint, variant: str, topic: str) -> None:
        self._stack: Construct = stack
        self._name = str(endpoint.endpoint_name)
        self._variant = variant
        self._actions = [topic] if topic else None
        self._log_metrics = f"BertQA/{self._name}"
        # The filters come after the endpoint, because its container makes the log group.
        self._add_filters(f"/aws/sagemaker/Endpoints/{endpoint.attr_endpoint_name}")
        self._add_alarms()
        body = stack.to_json_string({"widgets": list(self._widgets(stack))})
        dashboard = f"{self._name}-dashboard-{stack.region}"
        cloudwatch.CfnDashboard(stack, "Dashboard", dashboard_name=dashboard, dashboard_body=body)

    def _add_filters(self, log_group: str) -> None:
        for name, (metric, pattern) in FILTERS.items():
            count = logs.CfnMetricFilter.MetricTransformationProperty(
                metric_name=metric,
                metric_namespace=self._log_metrics,
                metric_value="1",
                default_value=0,
                unit="Count",
            )
            logs.CfnMetricFilter(
                self._stack,
                f"{name}Filter",
                log_group_name=log_group,
                filter_pattern=pattern,
                metric_transformations=[count],
            )

    def _add_alarms(self) -> None:
        dimension = cloudwatch.CfnAlarm.DimensionProperty
        of_variant = {
            "namespace": "AWS/SageMaker",
            "dimensions": [
                dimension(name="EndpointName", value=self._name),
                dimension(name="VariantName", value=self._variant),
            ],
            "datapoints_to_alarm": 3,
        }
        errors = {"metric_name": "Invocation5XXErrors", "statistic": "Average", "evaluation_periods": 5}
        latency = {"metric_name": "ModelLatency", "extended_statistic": "p99", "evaluation_periods": 3}
        refusals, slow = "refusals-429-and-503", "slow-answers"  # entries of docs/runbook.md
        self._add(f"{self._variant}-errors", refusals, period=60, threshold=0.05, **errors, **of_variant)
        # ModelLatency is in microseconds.
        self._add(f"{self._variant}-latency", slow, period=300, threshold=500_000, **latency, **of_variant)
        of_log = {
            "namespace": self._log_metrics,
            "statistic": "Sum",
            "evaluation_periods": 1,
            "datapoints_to_alarm": 1,
        }
        disagrees = "int8-disagrees-with-fp32"
        self._add("refusals", refusals, metric_name="Refusals", period=300, threshold=30, **of_log)
        self._add("lanes-lost", "lanes-restart", metric_name="LanesLost", period=600, threshold=0, **of_log)
        self._add("guard", disagrees, metric_name="GuardDisagreements", period=3600, threshold=0, **of_log)

    def _add(self, name: str, entry: str, **properties: Any) -> None:
        """Add an alarm. Its id in the stack is the name without the variant, such as LanesLostAlarm."""
        label = name.removeprefix(f"{self._variant}-").title().replace("-", "")
        cloudwatch.CfnAlarm(
            self._stack,
            f"{label}Alarm",
            alarm_name=f"{self._name}-{name}",
            alarm_description=f"docs/runbook.md#{entry}",
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=self._actions,
            ok_actions=self._actions,
            **properties,
        )

    def _widgets(self, stack: Stack) -> Iterator[dict[str, Any]]:
        """Yield the widgets of the dashboard: the alarms, six graphs in two rows, and lines of the log."""
        alarm = f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:{self._name}"
        alarms = [f"{alarm}-{name}" for name in LOG_ALARMS]
        properties: dict[str, Any] = {"title": "Alarms", "alarms": alarms}
        yield {"type": "alarm", "x": 0, "y": 0, "width": 24, "height": 2, "properties": properties}
        for number, (title, metrics) in enumerate(self._graphs().items()):
            place = {"x": 8 * (number % 3), "y": 2 + 6 * (number // 3), "width": 8, "height": 6}
            properties = {"title": title, "region": stack.region, "period": 60, "metrics": metrics}
            yield {"type": "metric", **place, "properties": properties}
        query = (
            f"SOURCE '/aws/sagemaker/Endpoints/{self._name}' | fields time, logger, message, status, error "
            "| filter level = 'ERROR' or status >= 429 | sort @timestamp desc | limit 50"
        )
        title = "Errors and refusals in the log"
        properties = {"title": title, "region": stack.region, "view": "table", "query": query}
        yield {"type": "log", "x": 0, "y": 14, "width": 24, "height": 6, "properties": properties}

    def _graphs(self) -> dict[str, list[Any]]:
        """Return the metrics of each graph by its title."""
        model, instances = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
        return {
            "Requests": [self._search(model, "Invocations", "Sum")],
            "4xx and 5xx": [self._search(model, f"Invocation{kind}Errors", "Sum") for kind in ("4XX", "5XX")],
            "Latency of the model, microseconds": [self._search(model, "ModelLatency", one) for one in ("p50", "p99")],
            "Latency that SageMaker adds, microseconds": [self._search(model, "OverheadLatency", "p99")],
            "CPU and memory, percent": [
                self._search(instances, f"{one}Utilization", "Average") for one in ("CPU", "Memory")
            ],
            "From the log": [[self._log_metrics, metric, {"stat": "Sum"}] for metric, _ in FILTERS.values()],
        }

    def _search(self, namespace: str, metric: str, statistic: str) -> list[dict[str, str]]:
        """Return an expression that finds a metric of all variants."""
        schema = f'{{{namespace},EndpointName,VariantName}} EndpointName="{self._name}" MetricName="{metric}"'
        return [{"expression": f"SEARCH('{schema}', '{statistic}', 60)"}]
