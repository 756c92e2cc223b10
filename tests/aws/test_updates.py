"""Updates of a deployment, where AWS refuses more or keeps more than moto does without aws_account.py."""

import json
from pathlib import Path

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import (
    BATCH,
    REGION,
    SCALED,
    Recorder,
    describe_variants,
    inventory,
    make_deployment,
    refusing,
    remove_all,
)
from tools.deploy import commands
from tools.deploy.__main__ import status
from tools.deploy.deployment import Deployment
from tools.deploy.tags import OWNER_TAG, as_tag_list
from tools.errors import ToolError
from tools.remote.aws import Aws


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
def test_another_mode_is_refused_before_anything_changes(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    before = inventory()
    for mode in ("async", "serverless", "batch"):
        other = make_deployment(artifact, **(BATCH if mode == "batch" else {"mode": mode}))
        with pytest.raises(ToolError, match=f"bert-qa is realtime, and AWS cannot change that to {mode}"):
            commands.planned_changes(other)
        with pytest.raises(ToolError, match="step 1 of .*choose another --name"):
            commands.up(other)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_other_variants_are_refused_while_the_rollback_alarm_is_on(artifact: Path) -> None:
    commands.up(make_deployment(artifact, rollback_alarm=True))
    before = inventory()
    traffic = "INT8=90,FP32=10"
    with pytest.raises(ToolError, match="AllTraffic, and the configuration has FP32, INT8.*--no-rollback-alarm"):
        commands.planned_changes(make_deployment(artifact, rollback_alarm=True, traffic=traffic))
    with pytest.raises(ToolError, match="step 1 of "):
        commands.up(make_deployment(artifact, rollback_alarm=True, traffic=traffic))
    assert inventory() == before
    commands.up(make_deployment(artifact, traffic=traffic))
    commands.up(make_deployment(artifact, rollback_alarm=True, traffic="INT8=50,FP32=50"))
    assert describe_variants("DesiredWeight") == {"INT8": 50, "FP32": 50}


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
        commands.up(make_deployment(artifact, session, image_uri=uri, keep=0))
    (during_the_update,) = policies
    assert [f"repository/{name}" in during_the_update for name in ("old", "new")] == [True, True]
    assert [f"repository/{name}" in read_policy() for name in ("old", "new")] == [False, True]


@pytest.mark.usefixtures("account")
def test_changed_tags_reach_resources_that_exist(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED, tags={"team": "search", "old": "stays"}))
    recorder = Recorder()
    changed = make_deployment(artifact, recorder.session, **SCALED, tags={"team": "answers"})
    plan = str(dict(commands.planned_changes(changed))["tags"])
    for word in (
        "bucket", "object", "repository", "role", "model/", "endpoint-config/", "endpoint/bert-qa",
        "scaling of endpoint/bert-qa/variant/AllTraffic", "alarm bert-qa-AllTraffic-5xx",
    ):  # fmt: skip
        assert word in plan
    commands.up(changed)
    assert recorder.sent("UpdateEndpoint") == recorder.sent("CreateModel") == []
    sagemaker = boto3.client("sagemaker", REGION)
    arn = sagemaker.describe_endpoint(EndpointName="bert-qa")["EndpointArn"]
    role = boto3.client("iam", REGION).get_role(RoleName=changed.names.role)["Role"]
    bucket = boto3.client("s3", REGION).get_bucket_tagging(Bucket=changed.names.bucket)
    (key,) = inventory()["objects"]
    uploaded = boto3.client("s3", REGION).get_object_tagging(Bucket=changed.names.bucket, Key=key)["TagSet"]
    alarm_arn = changed.names.arn("cloudwatch", "alarm:bert-qa-AllTraffic-5xx")
    alarm = boto3.client("cloudwatch", REGION).list_tags_for_resource(ResourceARN=alarm_arn)["Tags"]
    scaling = boto3.client("application-autoscaling", REGION)
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    registered = as_tag_list(scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"])
    of_endpoint = sagemaker.list_tags(ResourceArn=arn)["Tags"]
    for tags in (of_endpoint, role["Tags"], bucket["TagSet"], uploaded, alarm, registered):
        values = {tag["Key"]: tag["Value"] for tag in tags}
        assert values == {"team": "answers", "old": "stays", "bert-qa:deployment": "bert-qa"}
    assert dict(commands.planned_changes(changed))["tags"] is None
    remove_all(changed)


@pytest.mark.usefixtures("account")
def test_an_object_gets_ten_tags_of_which_those_of_the_configuration_come_first(artifact: Path) -> None:
    commands.up(make_deployment(artifact, tags={f"old{number}": "x" for number in range(9)}))
    changed = make_deployment(artifact, tags={f"new{number}": "y" for number in range(8)})
    commands.up(changed)
    (key,) = inventory()["objects"]
    tags = boto3.client("s3", REGION).get_object_tagging(Bucket=changed.names.bucket, Key=key)["TagSet"]
    assert {tag["Key"] for tag in tags} == {OWNER_TAG, *(f"new{number}" for number in range(8)), "old0"}
    assert dict(commands.planned_changes(changed))["tags"] is None


@pytest.mark.usefixtures("account")
def test_rollback_returns_to_earlier_configurations_as_long_as_they_are_kept(artifact: Path) -> None:
    def present() -> str:
        name: str = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")["EndpointConfigName"]
        return name

    made = []
    for number in range(4):
        (artifact / "model_int8.pt").write_bytes(f"model {number}".encode())
        commands.up(make_deployment(artifact, **SCALED, keep=2, instance=f"ml.c5.{2 + 2 * (number % 2)}xlarge"))
        made.append(present())
    assert set(inventory()["configs"]) == set(made[1:])
    assert len(inventory()["models"]) == len(inventory()["objects"]) == 3
    last = make_deployment(artifact, **SCALED, keep=2)
    for expected in (made[2], made[1]):
        assert commands.rollback(last) == expected == present()
        assert inventory()["targets"] == ["endpoint/bert-qa/variant/AllTraffic"]  # although the instance type changed
    with pytest.raises(ToolError, match="is the oldest configuration that is left"):
        commands.rollback(last)
    commands.up(make_deployment(artifact, **SCALED, keep=0, instance="ml.c5.4xlarge"))
    assert inventory()["configs"] == [made[3]]
    assert len(inventory()["models"]) == len(inventory()["objects"]) == 1
    remove_all(last)
    with pytest.raises(ToolError, match="nothing to undo"):
        commands.rollback(last)


@pytest.mark.usefixtures("account")
def test_the_role_keeps_the_permissions_that_a_rollback_needs(artifact: Path) -> None:
    for name in ("old", "new"):
        commands.up(make_deployment(artifact, image_uri=f"123456789012.dkr.ecr.{REGION}.amazonaws.com/{name}:1"))
    policy = boto3.client("iam", REGION).get_role_policy(RoleName=f"bert-qa-{REGION}", PolicyName="least-privilege")
    assert "repository/old" in json.dumps(policy)


@pytest.mark.usefixtures("account")
def test_up_repeats_a_failed_batch_job_and_down_stops_a_running_one(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"}
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


@pytest.mark.usefixtures("account")
def test_a_role_can_have_a_path_which_stays(artifact: Path) -> None:
    deployment = make_deployment(artifact, role_path="/ml/qa/")
    commands.up(deployment)
    role = boto3.client("iam", REGION).get_role(RoleName=deployment.names.role)["Role"]
    assert role["Arn"] == deployment.names.role_arn
    assert role["Arn"].endswith(f":role/ml/qa/{role['RoleName']}")
    model = boto3.client("sagemaker", REGION).describe_model(ModelName=inventory()["models"][0])
    assert model["ExecutionRoleArn"] == role["Arn"]
    assert {change for _, change in commands.planned_changes(deployment)} == {None, "ask the endpoint one question"}
    without_path = deployment.config.model_copy(update={"role_path": "/"})
    with pytest.raises(ToolError, match="has the path /ml/qa/, which AWS cannot change to /: give --role-path /ml/qa/"):
        commands.planned_changes(Deployment(Aws(REGION), without_path, print))
    remove_all(deployment)
    assert inventory()["roles"] == []
