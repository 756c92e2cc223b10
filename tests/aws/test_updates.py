"""What becomes of a deployment whose configuration changes, where AWS refuses or keeps more than moto by itself."""

import json
from pathlib import Path

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import REGION, SCALED, inventory, refusing, site
from tools.deploy import lifecycle
from tools.deploy.__main__ import status
from tools.errors import ToolError


def described(key: str) -> dict[str, float]:
    """Of each variant of the endpoint."""
    found = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")["ProductionVariants"]
    return {one["VariantName"]: one[key] for one in found}


@pytest.mark.usefixtures("account")
def test_scaling_can_be_changed_and_stopped(artifact: Path) -> None:
    lifecycle.up(site(artifact, **SCALED))
    lifecycle.up(site(artifact, **{**SCALED, "max_instances": 5, "scale_target": 800}))
    (target,) = boto3.client("application-autoscaling", REGION).describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert target["MaxCapacity"] == 5
    boto3.client("sagemaker", REGION).update_endpoint_weights_and_capacities(
        EndpointName="bert-qa",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 4}],
    )
    (artifact / "model_int8.pt").write_bytes(b"another" * 1000)
    lifecycle.up(site(artifact, **{**SCALED, "instance": "ml.c5.xlarge"}))  # AWS refuses this while it scales
    assert described("DesiredInstanceCount") == {"AllTraffic": 4}
    with pytest.raises(ToolError, match="not now"):
        lifecycle.up(
            site(artifact, refusing("UpdateEndpointWeightsAndCapacities", "not now", 1), instance="ml.c5.xlarge")
        )
    lifecycle.up(site(artifact, instance="ml.c5.xlarge"))
    assert inventory()["targets"] == []
    assert described("DesiredInstanceCount") == {"AllTraffic": 1}


@pytest.mark.usefixtures("account")
def test_other_weights_arrive_where_instances_are_kept(artifact: Path) -> None:
    for weights in ((90, 10), (50, 50)):
        traffic = "INT8={},FP32={}".format(*weights)
        lifecycle.up(site(artifact, traffic=traffic, max_instances=2, scale_target=700))
        assert described("DesiredWeight") == {"INT8": weights[0], "FP32": weights[1]}


@pytest.mark.usefixtures("account")
def test_another_mode_is_refused_before_anything_is_changed(artifact: Path) -> None:
    lifecycle.up(site(artifact))
    before = inventory()
    for mode in ("async", "serverless", "batch"):
        other = site(artifact, mode=mode, batch_input="s3://in/x", batch_output="s3://out/y")
        with pytest.raises(ToolError, match=f"bert-qa is realtime, and AWS cannot change that to {mode}"):
            lifecycle.changes(other)
        with pytest.raises(ToolError, match="step 1 of .*choose another --name"):
            lifecycle.up(other)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_the_role_may_do_what_the_old_endpoint_needs_until_the_new_one_serves(artifact: Path) -> None:
    uris = [f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{name}:1" for name in ("old", "new")]
    seen: list[str] = []

    def allowed() -> str:
        iam = boto3.client("iam", REGION)
        return json.dumps(iam.get_role_policy(RoleName=f"bert-qa-{REGION}", PolicyName="least-privilege"))

    session = boto3.Session(region_name=REGION)
    session.events.register("before-call.sagemaker.UpdateEndpoint", lambda **_: seen.append(allowed()))
    for uri in uris:
        lifecycle.up(site(artifact, session, image_uri=uri))
    (while_updating,) = seen
    assert [f"repository/{name}" in while_updating for name in ("old", "new")] == [True, True]
    assert [f"repository/{name}" in allowed() for name in ("old", "new")] == [False, True]


@pytest.mark.usefixtures("account")
def test_a_batch_job_that_failed_runs_again_and_down_stops_one_under_way(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"}
    jobs = sagemaker_backends["123456789012"][REGION].transform_jobs
    lifecycle.up(site(artifact, **values))
    lifecycle.up(site(artifact, **values))
    (first,) = jobs.values()
    first.transform_job_status = "Failed"
    status(site(artifact, **values))
    assert f"batch transform {first.transform_job_name}: Failed" in capsys.readouterr().out
    lifecycle.up(site(artifact, **values))
    _, second = jobs.values()
    assert second.transform_job_name == f"{first.transform_job_name}-2"
    second.transform_job_status = "InProgress"
    last = site(artifact, **values)
    assert f"batch transform {second.transform_job_name} (InProgress)" in map(str, lifecycle.existing(last))
    lifecycle.down(lifecycle.existing(last), last)
    assert second.transform_job_status == "Stopped"
