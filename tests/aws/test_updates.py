"""Updates of a deployment, where AWS refuses more or keeps more than moto does without aws_account.py."""

import json
from pathlib import Path

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import REGION, SCALED, inventory, make_deployment, refusing, remove_all
from tools.deploy import commands
from tools.deploy.__main__ import status
from tools.errors import ToolError


def describe_variants(key: str) -> dict[str, float]:
    """Return one value of each variant of the endpoint, by the variant's name."""
    variants = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")["ProductionVariants"]
    return {one["VariantName"]: one[key] for one in variants}


@pytest.mark.usefixtures("account")
def test_scaling_can_be_changed_and_stopped(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED))
    commands.up(make_deployment(artifact, **{**SCALED, "max_instances": 5, "scale_target": 800}))
    (target,) = boto3.client("application-autoscaling", REGION).describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert target["MaxCapacity"] == 5
    boto3.client("sagemaker", REGION).update_endpoint_weights_and_capacities(
        EndpointName="bert-qa",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 4}],
    )
    (artifact / "model_int8.pt").write_bytes(b"another" * 1000)
    # AWS refuses another instance type while the variant scales.
    commands.up(make_deployment(artifact, **{**SCALED, "instance": "ml.c5.xlarge"}))
    assert describe_variants("DesiredInstanceCount") == {"AllTraffic": 4}
    with pytest.raises(ToolError, match="not now"):
        commands.up(
            make_deployment(
                artifact, refusing("UpdateEndpointWeightsAndCapacities", "not now", 1), instance="ml.c5.xlarge"
            )
        )
    commands.up(make_deployment(artifact, instance="ml.c5.xlarge"))
    assert inventory()["targets"] == []
    assert describe_variants("DesiredInstanceCount") == {"AllTraffic": 1}


@pytest.mark.usefixtures("account")
def test_an_update_sets_new_weights_and_keeps_the_number_of_instances(artifact: Path) -> None:
    for weights in ((90, 10), (50, 50)):
        traffic = "INT8={},FP32={}".format(*weights)
        commands.up(make_deployment(artifact, traffic=traffic, max_instances=2, scale_target=700))
        assert describe_variants("DesiredWeight") == {"INT8": weights[0], "FP32": weights[1]}


@pytest.mark.usefixtures("account")
def test_another_mode_is_refused_before_anything_changes(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    before = inventory()
    for mode in ("async", "serverless", "batch"):
        other = make_deployment(artifact, mode=mode, batch_input="s3://in/x", batch_output="s3://out/y")
        with pytest.raises(ToolError, match=f"bert-qa is realtime, and AWS cannot change that to {mode}"):
            commands.planned_changes(other)
        with pytest.raises(ToolError, match="step 1 of .*choose another --name"):
            commands.up(other)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_the_role_keeps_the_old_permissions_until_the_update_is_complete(artifact: Path) -> None:
    uris = [f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{name}:1" for name in ("old", "new")]
    policies: list[str] = []

    def read_policy() -> str:
        iam = boto3.client("iam", REGION)
        return json.dumps(iam.get_role_policy(RoleName=f"bert-qa-{REGION}", PolicyName="least-privilege"))

    session = boto3.Session(region_name=REGION)
    session.events.register("before-call.sagemaker.UpdateEndpoint", lambda **_: policies.append(read_policy()))
    for uri in uris:
        commands.up(make_deployment(artifact, session, image_uri=uri))
    (during_the_update,) = policies
    assert [f"repository/{name}" in during_the_update for name in ("old", "new")] == [True, True]
    assert [f"repository/{name}" in read_policy() for name in ("old", "new")] == [False, True]


@pytest.mark.usefixtures("account")
def test_up_repeats_a_failed_batch_job_and_down_stops_a_running_one(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"}
    jobs = sagemaker_backends["123456789012"][REGION].transform_jobs
    commands.up(make_deployment(artifact, **values))
    commands.up(make_deployment(artifact, **values))
    (first,) = jobs.values()
    first.transform_job_status = "Failed"
    status(make_deployment(artifact, **values))
    assert f"batch transform {first.transform_job_name}: Failed" in capsys.readouterr().out
    commands.up(make_deployment(artifact, **values))
    _, second = jobs.values()
    assert second.transform_job_name == f"{first.transform_job_name}-2"
    second.transform_job_status = "InProgress"
    last = make_deployment(artifact, **values)
    assert f"batch transform {second.transform_job_name} (InProgress)" in map(str, commands.existing_resources(last))
    remove_all(last)
    assert second.transform_job_status == "Stopped"
