"""Updates of a running endpoint: what is replaced, what watches the update, and what a failure leaves behind."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import (
    REGION,
    SCALED,
    Recorder,
    describe_variants,
    inventory,
    make_deployment,
    refusing,
)
from tests.aws.recording import watch
from tools.deploy import commands
from tools.errors import ToolError


@pytest.mark.usefixtures("account")
def test_a_change_of_weights_or_instances_replaces_nothing(artifact: Path) -> None:
    commands.up(make_deployment(artifact, traffic="INT8=90,FP32=10"))
    before = inventory()
    recorder = Recorder()
    changed = make_deployment(artifact, recorder.session, traffic="INT8=50,FP32=10", instances=3)
    changes = dict(commands.planned_changes(changed))
    assert changes["endpoint"] is None
    assert changes["weights and instances"] == "set INT8, weight 50, instances 3; FP32, weight 10, instances 3"
    commands.up(changed)
    assert recorder.sent("UpdateEndpoint") == recorder.sent("CreateEndpointConfig") == []
    assert describe_variants("DesiredWeight") == {"INT8": 50, "FP32": 10}
    assert describe_variants("DesiredInstanceCount") == {"INT8": 3, "FP32": 3}
    assert inventory() == before
    assert dict(commands.planned_changes(changed))["weights and instances"] is None


@pytest.mark.usefixtures("account")
def test_the_rollback_alarm_watches_only_the_new_instances_and_a_rate(artifact: Path) -> None:
    cloudwatch = boto3.client("cloudwatch", REGION)
    seen = []
    for seconds in (600, 700):
        recorder = Recorder()
        values = {"rollback_alarm": True, "startup_seconds": seconds, "instances": 2}
        commands.up(make_deployment(artifact, recorder.session, **values))
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
        seen.append(dimensions["EndpointConfigName"])
        endpoint = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")
        assert endpoint["EndpointConfigName"] == dimensions["EndpointConfigName"]
        assert (alarm["Statistic"], alarm["Threshold"]) == ("Average", 0.05)
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3, 2)
    assert seen[0] != seen[1]
    (update,) = recorder.sent("UpdateEndpoint")
    alarms = [{"AlarmName": "bert-qa-AllTraffic-5xx"}]
    assert update["DeploymentConfig"]["AutoRollbackConfiguration"] == {"Alarms": alarms}
    operations = [request.operation for request in recorder.requests]
    assert operations.index("PutMetricAlarm") < operations.index("UpdateEndpoint")


@pytest.mark.usefixtures("account")
def test_a_rolling_update_replaces_one_half_after_the_other(artifact: Path) -> None:
    commands.up(make_deployment(artifact, instances=4))
    recorder = Recorder()
    updating = make_deployment(artifact, recorder.session, instances=4, startup_seconds=700, rolling=True)
    assert "2 more ml.c5.2xlarge run" in str(dict(commands.planned_changes(updating))["endpoint"])
    commands.up(updating)
    (update,) = recorder.sent("UpdateEndpoint")
    size = {"Type": "CAPACITY_PERCENT", "Value": 50}
    assert update["DeploymentConfig"] == {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": 0}}
    whole = make_deployment(artifact, instances=4, startup_seconds=800)
    assert "4 more ml.c5.2xlarge run" in str(dict(commands.planned_changes(whole))["endpoint"])


@pytest.mark.usefixtures("account")
def test_a_failed_update_leaves_the_endpoint_with_its_autoscaling(artifact: Path) -> None:
    scaling = boto3.client("application-autoscaling", REGION)

    def registered() -> list[Any]:
        targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        configuration = [one["TargetTrackingScalingPolicyConfiguration"] for one in policies]
        return [[(one["ResourceId"], one["MinCapacity"], one["MaxCapacity"]) for one in targets], configuration]

    commands.up(make_deployment(artifact, **SCALED))
    before = registered()
    other = {**SCALED, "instance": "ml.c5.xlarge"}  # the update deregisters the variant first
    with pytest.raises(ToolError, match="no capacity[^\0]*Autoscaling is registered again"):
        commands.up(make_deployment(artifact, refusing("UpdateEndpoint", "no capacity", 1), **other))
    assert registered() == before
    session = refusing("UpdateEndpoint", "no capacity", 1)
    watch(session, Recorder().requests.append)

    def forbid(**_: Any) -> Any:
        return SimpleNamespace(status_code=400), {"Error": {"Code": "AccessDeniedException", "Message": "not you"}}

    session.events.register("before-call.*.RegisterScalableTarget", forbid)
    with pytest.raises(ToolError, match="does not scale now[^\0]*not you"):
        commands.up(make_deployment(artifact, session, **other))
    commands.up(make_deployment(artifact, **other))
    assert registered() == before


@pytest.mark.usefixtures("account")
def test_an_update_sets_new_weights_and_keeps_the_number_of_instances(artifact: Path) -> None:
    for weights in ((90, 10), (50, 50)):
        traffic = "INT8={},FP32={}".format(*weights)
        commands.up(make_deployment(artifact, traffic=traffic, max_instances=2, scale_target=700))
        assert describe_variants("DesiredWeight") == {"INT8": weights[0], "FP32": weights[1]}
