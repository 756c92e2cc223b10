"""Alarms, metric filters and the dashboard: what `up` makes, changes and removes, and what the log metrics count."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from container import contract
from container.validation.routes import ADMIN_ROUTES
from tests.aws.aws_account import REGION, Recorder, inventory, make_deployment, remove_all
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig
from tools.deploy.steps.monitoring import definitions
from tools.errors import ToolError

ROOT = Path(__file__).parents[2]
TOPIC = f"arn:aws:sns:{REGION}:123456789012:on-call"
GROUP = "/aws/sagemaker/Endpoints/bert-qa"
OF_LOG = ["bert-qa-guard", "bert-qa-lanes-lost", "bert-qa-refusals"]
FILTERS = ["bert-qa-guard", "bert-qa-lanes-lost", "bert-qa-log-errors", "bert-qa-refusals"]


def planned(deployment: Any) -> str | None:
    return dict(commands.planned_changes(deployment))["alarms and dashboard"]


@pytest.mark.usefixtures("account")
def test_up_makes_alarms_filters_and_a_dashboard_once_and_down_removes_them(artifact: Path) -> None:
    deployment = make_deployment(artifact, alarms=True, alarm_topic=TOPIC)
    assert "the dashboard bert-qa-dashboard-eu-west-1" in str(planned(deployment))
    commands.up(deployment)
    found = inventory()
    of_variant = ["bert-qa-AllTraffic-errors", "bert-qa-AllTraffic-latency"]
    assert sorted(found["alarms"]) == [*of_variant, *OF_LOG]
    assert sorted(found["metric filters"]) == FILTERS
    assert found["dashboards"] == ["bert-qa-dashboard-eu-west-1"]
    for alarm in boto3.client("cloudwatch", REGION).describe_alarms()["MetricAlarms"]:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [TOPIC]
    recorder = Recorder()
    again = make_deployment(artifact, recorder.session, alarms=True, alarm_topic=TOPIC)
    assert planned(again) is None
    commands.up(again)
    assert not [one for one in recorder.requests if one.operation.startswith("Put")]
    names = {f"{one.kind} {one.name}" for one in commands.existing_resources(deployment)}
    assert {"dashboard bert-qa-dashboard-eu-west-1", "metric filter bert-qa-guard", "alarm bert-qa-refusals"} <= names
    remove_all(deployment)
    assert not any(inventory().values())
    groups = boto3.client("logs", REGION).describe_log_groups()["logGroups"]
    assert [one["logGroupName"] for one in groups] == [GROUP]  # the log stays, as docs/deploy.md says


@pytest.mark.usefixtures("account")
def test_what_somebody_has_changed_is_set_again(artifact: Path) -> None:
    commands.up(make_deployment(artifact, alarms=True))
    cloudwatch, logs = boto3.client("cloudwatch", REGION), boto3.client("logs", REGION)
    cloudwatch.delete_alarms(AlarmNames=["bert-qa-guard"])
    cloudwatch.put_dashboard(DashboardName="bert-qa-dashboard-eu-west-1", DashboardBody='{"widgets": []}')
    logs.delete_metric_filter(logGroupName=GROUP, filterName="bert-qa-refusals")
    deployment = make_deployment(artifact, alarms=True)
    expected = (
        "set the alarm bert-qa-guard, the metric filter bert-qa-refusals, the dashboard bert-qa-dashboard-eu-west-1"
    )
    assert planned(deployment) == expected
    commands.up(deployment)
    assert planned(deployment) is None
    topic = make_deployment(artifact, alarms=True, alarm_topic=TOPIC)
    assert str(planned(topic)).count("the alarm ") == 5


@pytest.mark.usefixtures("account")
def test_without_alarms_up_removes_them_and_then_asks_for_them_no_more(artifact: Path) -> None:
    for seconds in (600, 700):  # an update keeps the configuration before it, and what that needs
        commands.up(make_deployment(artifact, alarms=True, startup_seconds=seconds))
    commands.up(make_deployment(artifact))
    found = inventory()
    assert found["alarms"] == found["metric filters"] == found["dashboards"] == []
    recorder = Recorder()
    deployment = make_deployment(artifact, recorder.session)
    commands.planned_changes(deployment)
    remove_all(deployment)
    asked = {(one.service, one.operation) for one in recorder.requests}
    assert not {one for one in asked if one[0] == "logs" or "Dashboard" in one[1]}


@pytest.mark.usefixtures("account")
def test_alarms_follow_the_variants(artifact: Path) -> None:
    commands.up(make_deployment(artifact, alarms=True))
    commands.up(make_deployment(artifact, alarms=True, traffic="INT8=90,FP32=10"))
    variants = [f"bert-qa-{variant}-{kind}" for variant in ("FP32", "INT8") for kind in ("errors", "latency")]
    assert sorted(inventory()["alarms"]) == [*variants, *OF_LOG]


@pytest.mark.usefixtures("account")
def test_what_belongs_to_others_is_left_alone(artifact: Path) -> None:
    cloudwatch = boto3.client("cloudwatch", REGION)
    cloudwatch.put_dashboard(DashboardName="bert-qa-dashboard-eu-west-1", DashboardBody='{"widgets": []}')
    with pytest.raises(ToolError, match="the dashboard bert-qa-dashboard-eu-west-1 exists and does not carry the tag"):
        commands.up(make_deployment(artifact, alarms=True))
    remove_all(make_deployment(artifact, alarms=True))
    assert inventory()["dashboards"] == ["bert-qa-dashboard-eu-west-1"]


@pytest.mark.usefixtures("account")
def test_new_tags_reach_the_dashboard_and_the_alarms(artifact: Path) -> None:
    commands.up(make_deployment(artifact, alarms=True))
    deployment = make_deployment(artifact, alarms=True, tags={"team": "search"})
    commands.up(deployment)
    cloudwatch = boto3.client("cloudwatch", REGION)
    alarm = deployment.names.arn("cloudwatch", "alarm:bert-qa-refusals")
    for arn in (deployment.names.dashboard_arn, alarm):
        tags = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
        assert {"Key": "team", "Value": "search"} in tags


def test_an_asynchronous_endpoint_has_alarms_on_its_log_only() -> None:
    assert sorted(definitions.alarm_requests(DeploymentConfig(alarms=True, mode="async"))) == OF_LOG


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alarm_topic": TOPIC}, "--alarm-topic has no effect without --alarms"),
        ({"alarms": True, "mode": "batch"}, "--alarms watch an endpoint"),
        ({"alarms": True, "alarm_topic": "on-call"}, "alarm_topic"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict[str, Any], message: str) -> None:
    files = {"batch_input": "s3://questions", "batch_output": "s3://answers"} if values.get("mode") == "batch" else {}
    with pytest.raises(ValueError, match=message):
        DeploymentConfig(**values, **files)


def test_each_alarm_names_an_entry_of_the_runbook() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for alarm in definitions.alarm_requests(DeploymentConfig(alarms=True)).values():
        page, _, anchor = alarm["AlarmDescription"].partition("#")
        assert (ROOT / page).is_file()
        assert anchor in anchors


def test_the_thresholds_are_those_of_the_alerts_for_prometheus() -> None:
    alerts = yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yml").read_text())
    expressions = {one["alert"]: one["expr"] for group in alerts["groups"] for one in group["rules"]}
    (per_second,) = re.findall(r"> ([\d.]+)$", expressions["BertQaRefusals"])
    assert float(per_second) * 300 == definitions.REFUSALS_IN_FIVE_MINUTES
    rules = (ROOT / "deploy" / "observability" / "rules.yml").read_text()
    (objective,) = set(re.findall(r'le="([\d.]+)"', rules))
    assert float(objective) * 1e6 == definitions.SLOW_MICROSECONDS
    assert "[10m]" in expressions["BertQaLaneLost"]
    assert definitions.alarm_requests(DeploymentConfig(alarms=True))["bert-qa-lanes-lost"]["Period"] == 600


def test_the_dashboard_keeps_cloudwatchs_limits_and_shows_every_metric_of_the_log() -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    config = DeploymentConfig(region=REGION)
    body = json.loads(definitions.dashboard_body(config, f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:"))
    cells: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        assert widget["type"] in ("metric", "log", "alarm")
        assert widget["x"] + widget["width"] <= 24
        own = {(widget["x"] + x, widget["y"] + y) for x in range(widget["width"]) for y in range(widget["height"])}
        assert not cells & own, "two widgets overlap"
        cells |= own
    text = json.dumps(body)
    assert all(f'"BertQA/bert-qa", "{one.metric}"' in text for one in definitions.LOG_METRICS)
    metrics = [one for widget in body["widgets"] for one in widget["properties"].get("metrics", [])]
    for search in (one[0]["expression"] for one in metrics if isinstance(one[0], dict)):
        assert re.fullmatch(
            r"SEARCH\('\{[\w/]+,EndpointName,VariantName\} EndpointName=\"bert-qa\" MetricName=\"\w+\"', '\w+', 60\)",
            search,
        )


def test_the_server_has_the_path_the_port_and_the_intervals_of_detailed_observability() -> None:
    """botocore's model of SageMaker's API says where the platform looks for metrics."""
    model = boto3.client("sagemaker", REGION).meta.service_model
    described = re.sub(r"<[^>]+>", "", model.shape_for("ContainerMetricsConfig").documentation)
    assert "the default path /metrics on port 8080 is used" in described
    assert contract.PORT == 8080
    assert "/metrics" in ADMIN_ROUTES
    frequency = model.shape_for("MetricsEndpoint").members["MetricPublishFrequencyInSeconds"].documentation
    intervals = re.findall(r"<code>(\d+)</code>", frequency.partition("Valid values")[2].partition("Defaults")[0])
    guide = (ROOT / "docs" / "deploy.md").read_text().replace("\n", " ")
    assert f"the interval: {', '.join(intervals[:-1])} or {intervals[-1]} seconds" in guide
    members = model.shape_for("MetricsConfig").members
    for name in ("EnableDetailedObservability", "EnableEnhancedMetrics", "MetricPublishFrequencyInSeconds"):
        assert name in members
        assert name in guide
