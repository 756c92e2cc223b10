"""An asynchronous endpoint that runs no instance while no request waits."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import REGION, inventory, make_deployment, refusing, remove_all
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig, read_config
from tools.deploy.hourly_cost import describe_cost
from tools.errors import ToolError

VALUES: dict[str, Any] = {"mode": "async", "scale_to_zero": True, "scale_target": 5}


@pytest.mark.usefixtures("account")
def test_the_endpoint_sleeps_and_wakes_and_stops_doing_so(artifact: Path) -> None:
    before = inventory()
    scaling, cloudwatch = boto3.client("application-autoscaling", REGION), boto3.client("cloudwatch", REGION)
    commands.up(make_deployment(artifact, **VALUES))
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (wake,) = (one for one in policies if one["PolicyType"] == "StepScaling")
    assert wake["StepScalingPolicyConfiguration"]["StepAdjustments"][0]["ScalingAdjustment"] == 1
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    assert (alarm["MetricName"], alarm["AlarmActions"]) == ("HasBacklogWithoutCapacity", [wake["PolicyARN"]])

    again = make_deployment(artifact, **VALUES)
    assert {change for _, change in commands.planned_changes(again)} == {None, "ask the endpoint one question"}

    awake = {"mode": "async", "max_instances": 2, "scale_target": 5}
    commands.up(make_deployment(artifact, **awake))
    assert inventory()["alarms"] == []
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    again = make_deployment(artifact, **awake)
    assert {change for _, change in commands.planned_changes(again)} == {None, "ask the endpoint one question"}

    commands.up(make_deployment(artifact, **VALUES))
    remove_all(make_deployment(artifact, **VALUES))
    assert inventory() == before


def test_the_price_begins_at_zero() -> None:
    assert "$0.000 to $0.408 an hour" in describe_cost(DeploymentConfig(**VALUES))


def test_only_asynchronous_endpoints_sleep() -> None:
    with pytest.raises(ToolError, match="only an asynchronous endpoint can scale to zero"):
        read_config(None, {"scale_to_zero": True, "scale_target": 5})


@pytest.mark.usefixtures("account")
def test_scaling_that_ended_halfway_needs_attention(artifact: Path) -> None:
    """A superfluous policy goes with its target, which is then registered again."""
    asleep = {"mode": "async", "max_instances": 2, "scale_target": 5}
    commands.up(make_deployment(artifact, **asleep, scale_to_zero=True))
    with pytest.raises(ToolError, match="still serves .*, but later steps may have changed its scaling") as raised:
        commands.up(make_deployment(artifact, refusing("RegisterScalableTarget", "not today", 1), **asleep))
    assert "nothing needs to be undone" not in str(raised.value)
