"""What is watched: alarms on SageMaker's metrics and on the server's log, and the dashboard.

deploy/cloudformation.yaml and the examples for CDK and Terraform in deploy/examples have the same alarms, filters and
dashboard; tests compare them. The thresholds are those of deploy/observability/alerts.yml where CloudWatch has the same
figures.
"""

import json
from dataclasses import dataclass
from typing import Any

from tools.deploy.config import DeploymentConfig

NAMESPACE = "BertQA"  # of the metrics from the log; the name of the deployment follows
LOG_GROUPS = "/aws/sagemaker/Endpoints/"
MOST_FAILED_SHARE = 0.05
SLOW_MICROSECONDS = 500_000  # the objective for the latency in deploy/observability/rules.yml
REFUSALS_IN_FIVE_MINUTES = 30  # 0.1 a second
MINUTE, HOUR = 60, 3600


@dataclass(frozen=True)
class LogMetric:
    """A metric that counts lines of the server's log. docs/logs.md has the lines and their fields.

    name: of the filter. metric: of the metric. pattern: CloudWatch's filter pattern for lines in JSON.
    """

    name: str
    metric: str
    pattern: str


# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
REFUSALS = LogMetric(
    "refusals", "Refusals", '{ $.message = "invocation" && ($.status = 429 || $.status = 503 || $.status = 507) }'
)
LANES_LOST = LogMetric(
    "lanes-lost",
    "LanesLost",
    '{ $.logger = "serve.lanes.supervisor" && ($.message = "lane *" || $.message = "cannot start lane *") }',
)
GUARD = LogMetric("guard", "GuardDisagreements", '{ $.logger = "serve.qa.guard" && $.level = "WARNING" }')
ERRORS = LogMetric("log-errors", "LogErrors", '{ $.level = "ERROR" }')
LOG_METRICS = (REFUSALS, LANES_LOST, GUARD, ERRORS)


def log_group(config: DeploymentConfig) -> str:
    """Return the log group into which SageMaker writes the container's log."""
    return f"{LOG_GROUPS}{config.name}"


def filter_request(config: DeploymentConfig, metric: LogMetric) -> dict[str, Any]:
    """Return the parameters of PutMetricFilter."""
    transformation = {
        "metricName": metric.metric,
        "metricNamespace": f"{NAMESPACE}/{config.name}",
        "metricValue": "1",
        "defaultValue": 0.0,  # for lines that do not match, so that the graph shows zero
        "unit": "Count",
    }
    return {
        "logGroupName": log_group(config),
        "filterName": f"{config.name}-{metric.name}",
        "filterPattern": metric.pattern,
        "metricTransformations": [transformation],
    }


def alarm_requests(config: DeploymentConfig) -> dict[str, dict[str, Any]]:
    """Return the parameters of PutMetricAlarm for each alarm, by its name."""
    alarms = [
        _of_log(config, REFUSALS, REFUSALS_IN_FIVE_MINUTES, 5 * MINUTE, "refusals-429-and-503"),
        _of_log(config, LANES_LOST, 0, 10 * MINUTE, "lanes-restart"),
        _of_log(config, GUARD, 0, HOUR, "int8-disagrees-with-fp32"),
    ]
    if config.mode != "async":  # SageMaker does not count the answers of asynchronous endpoints in these metrics
        for variant in config.variants:
            alarms += [_failures(config, variant.name), _slowness(config, variant.name)]
    return {alarm["AlarmName"]: alarm for alarm in alarms}


def _of_log(config: DeploymentConfig, metric: LogMetric, most: int, seconds: int, entry: str) -> dict[str, Any]:
    return {
        "AlarmName": f"{config.name}-{metric.name}",
        "AlarmDescription": _runbook(entry),
        "Namespace": f"{NAMESPACE}/{config.name}",
        "MetricName": metric.metric,
        "Dimensions": [],
        "Statistic": "Sum",
        **_evaluation(seconds, 1, 1, most),
        **_actions(config),
    }


def _failures(config: DeploymentConfig, variant: str) -> dict[str, Any]:
    return {
        "AlarmName": f"{config.name}-{variant}-errors",
        "AlarmDescription": _runbook("refusals-429-and-503"),
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",  # AWS counts 1 for each 5xx answer and 0 for each other one
        "Dimensions": _of_variant(config, variant),
        "Statistic": "Average",
        **_evaluation(MINUTE, 5, 3, MOST_FAILED_SHARE),
        **_actions(config),
    }


def _slowness(config: DeploymentConfig, variant: str) -> dict[str, Any]:
    return {
        "AlarmName": f"{config.name}-{variant}-latency",
        "AlarmDescription": _runbook("slow-answers"),
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelLatency",  # in microseconds
        "Dimensions": _of_variant(config, variant),
        "ExtendedStatistic": "p99",
        **_evaluation(5 * MINUTE, 3, 3, SLOW_MICROSECONDS),
        **_actions(config),
    }


def _evaluation(seconds: int, periods: int, datapoints: int, threshold: float) -> dict[str, Any]:
    return {
        "Period": seconds,
        "EvaluationPeriods": periods,
        "DatapointsToAlarm": datapoints,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    }


def _actions(config: DeploymentConfig) -> dict[str, list[str]]:
    return {name: [config.alarm_topic] if config.alarm_topic else [] for name in ("AlarmActions", "OKActions")}


def _of_variant(config: DeploymentConfig, variant: str) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": config.name}, {"Name": "VariantName", "Value": variant}]


def _runbook(entry: str) -> str:
    return f"docs/runbook.md#{entry}"


def dashboard_body(config: DeploymentConfig, alarm_arn: str) -> str:
    """Return the body of the dashboard as JSON. alarm_arn: the ARN of an alarm, up to its name."""
    of_endpoint = f'EndpointName="{config.name}"'
    sagemaker = "{AWS/SageMaker,EndpointName,VariantName} " + of_endpoint
    instances = "{/aws/sagemaker/Endpoints,EndpointName,VariantName} " + of_endpoint
    log = f"{NAMESPACE}/{config.name}"
    graphs = [
        ("Requests", [_search(sagemaker, "Invocations", "Sum")]),
        ("4xx and 5xx", [_search(sagemaker, f"Invocation{kind}Errors", "Sum") for kind in ("4XX", "5XX")]),
        ("Latency of the model, microseconds", [_search(sagemaker, "ModelLatency", one) for one in ("p50", "p99")]),
        ("Latency that SageMaker adds, microseconds", [_search(sagemaker, "OverheadLatency", "p99")]),
        ("CPU and memory, percent", [_search(instances, f"{one}Utilization", "Average") for one in ("CPU", "Memory")]),
        ("From the log", [[log, one.metric, {"stat": "Sum"}] for one in LOG_METRICS]),
    ]
    widgets: list[dict[str, Any]] = [
        {
            "type": "alarm",
            **_place(0, width=24, height=2),
            "properties": {
                "title": "Alarms",
                "alarms": [f"{alarm_arn}{config.name}-{one.name}" for one in (REFUSALS, LANES_LOST, GUARD)],
            },
        }
    ]
    for number, (title, metrics) in enumerate(graphs):
        properties = {"title": title, "region": config.region, "period": MINUTE, "metrics": metrics}
        widgets.append({"type": "metric", **_place(number, top=2), "properties": properties})
    query = (
        f"SOURCE '{log_group(config)}' | fields time, logger, message, status, error "
        "| filter level = 'ERROR' or status >= 429 | sort @timestamp desc | limit 50"
    )
    properties = {"title": "Errors and refusals in the log", "region": config.region, "view": "table", "query": query}
    widgets.append({"type": "log", **_place(len(graphs), top=2, width=24), "properties": properties})
    return json.dumps({"widgets": widgets})


def _place(number: int, *, top: int = 0, width: int = 8, height: int = 6) -> dict[str, int]:
    """Return the place of a widget: three in a row of 24 units."""
    return {"x": 8 * (number % 3), "y": top + height * (number // 3), "width": width, "height": height}


def _search(metrics: str, name: str, statistic: str) -> list[dict[str, str]]:
    """Return an expression that finds a metric of all variants."""
    return [{"expression": f"SEARCH('{metrics} MetricName=\"{name}\"', '{statistic}', {MINUTE})"}]
