"""What `status` shows about the endpoint, and what an update or a rollback does to its scaling."""

from pathlib import Path

import boto3
import pytest

from tests.aws.aws_account import REGION, SCALED, Recorder, describe_variants, inventory, make_deployment
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.errors import ToolError


@pytest.mark.usefixtures("account")
def test_status_marks_the_configuration_in_use_and_the_next_rollback(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for seconds in (600, 700, 800):
        commands.up(make_deployment(artifact, startup_seconds=seconds))
        endpoint = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")
        made.append(endpoint["EndpointConfigName"])
    commands.rollback(make_deployment(artifact))
    command.status(make_deployment(artifact))
    shown = capsys.readouterr().out
    assert f"endpoint configuration {made[0]} (next rollback)" in shown
    assert f"endpoint configuration {made[1]} (in use)" in shown
    assert f"endpoint configuration {made[2]}\n" in shown
    assert "SageMaker model bert-qa-" in shown


@pytest.mark.usefixtures("account")
def test_rollback_says_that_scaling_and_alarms_stay(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.up(make_deployment(artifact))
    commands.up(make_deployment(artifact, **SCALED, startup_seconds=700))
    before = inventory()
    command.rollback(make_deployment(artifact))
    shown = capsys.readouterr().out
    assert "Scaling and alarms are not part of a configuration and stay as they are" in shown
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_a_rollback_without_flags_keeps_the_number_of_instances(artifact: Path) -> None:
    values = {**SCALED, "traffic": "INT8=90,FP32=10"}
    commands.up(make_deployment(artifact, **values))
    commands.up(make_deployment(artifact, **{**values, "traffic": "INT8=50,FP32=50"}, startup_seconds=700))
    wanted = [{"VariantName": name, "DesiredInstanceCount": 3} for name in ("INT8", "FP32")]
    boto3.client("sagemaker", REGION).update_endpoint_weights_and_capacities(
        EndpointName="bert-qa", DesiredWeightsAndCapacities=wanted
    )
    recorder, lines = Recorder(), list[str]()
    previous = commands.rollback(make_deployment(artifact, recorder.session, lines))
    (update,) = recorder.sent("UpdateEndpoint")
    assert update["RetainAllVariantProperties"] is True
    assert update["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DesiredWeight"}]
    assert describe_variants("DesiredInstanceCount") == {"INT8": 3, "FP32": 3}
    assert describe_variants("DesiredWeight") == {"INT8": 90, "FP32": 10}
    assert f"The numbers of instances stay, and the weights will be those of {previous}." in lines


@pytest.mark.usefixtures("account")
def test_a_rollback_to_other_variants_takes_their_number_of_instances(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    commands.up(make_deployment(artifact, traffic="INT8=50,FP32=50"))
    lines: list[str] = []
    previous = commands.rollback(make_deployment(artifact, lines=lines))
    assert f"The variants, weights and instances will be those of {previous}." in lines
    assert describe_variants("DesiredInstanceCount") == {"AllTraffic": 1}


@pytest.mark.usefixtures("account")
def test_the_end_of_the_scaling_of_variants_is_announced(artifact: Path) -> None:
    commands.up(make_deployment(artifact, traffic="INT8=90,FP32=10", max_instances=2, scale_target=5))
    for values in ({}, {"max_instances": 2, "scale_target": 5}):
        changes = dict(commands.planned_changes(make_deployment(artifact, **values)))
        assert "the scaling of FP32, INT8 ends with them" in str(changes["endpoint"])
    lines: list[str] = []
    commands.up(make_deployment(artifact, lines=lines))
    assert any("the scaling of FP32, INT8 ends with them" in line for line in lines)
    assert inventory()["targets"] == []


@pytest.mark.usefixtures("account")
def test_the_variants_that_stop_scaling_are_named(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED))
    assert dict(commands.planned_changes(make_deployment(artifact)))["scaling"] == "stop scaling AllTraffic"


@pytest.mark.usefixtures("account")
def test_remove_model_needs_a_multi_model_endpoint(artifact: Path) -> None:
    with pytest.raises(ToolError, match="has artifacts to remove, and there is no endpoint bert-qa"):
        commands.remove_model(make_deployment(artifact), "demo.tar.gz")
    commands.up(make_deployment(artifact))
    with pytest.raises(ToolError, match="has artifacts to remove, and bert-qa is realtime"):
        commands.remove_model(make_deployment(artifact), "demo.tar.gz")
