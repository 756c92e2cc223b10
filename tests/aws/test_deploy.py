"""The whole life of a deployment against moto's server: AWS's APIs over real HTTP, with state, on localhost.

InvokeEndpoint goes to tools.local_endpoint in front of the real server. botocore validates every request as for AWS.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import REGION, SCALED, inventory, refusing, site
from tools.deploy import lifecycle
from tools.deploy import site as site_module
from tools.deploy.__main__ import plan, status
from tools.deploy.config import OWNER_TAG
from tools.errors import ToolError


class Failing:
    """A session whose n-th request is refused, as AWS would; it never fails where n is None."""

    def __init__(self, number: int | None = None) -> None:
        self.session = boto3.Session(region_name=REGION)
        self.operations: list[str] = []
        self.number = number
        self.session.events.register("before-call", self._count)

    def _count(self, model: Any, **_: Any) -> Any:
        self.operations.append(model.name)
        if len(self.operations) - 1 != self.number:
            return None
        error = {"Error": {"Code": "AccessDeniedException", "Message": "no [x] for you"}}
        return SimpleNamespace(status_code=403), {**error, "ResponseMetadata": {}}


@pytest.mark.usefixtures("account")
def test_plan_up_again_update_status_down_leaves_what_was_there(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = inventory()
    plan(site(artifact, **SCALED))
    assert inventory() == before
    assert "$0.408 to $1.224 an hour" in capsys.readouterr().out

    lifecycle.up(site(artifact, **SCALED))
    made = inventory()
    assert {kind: len(names) for kind, names in made.items()} == dict.fromkeys(made, 1)
    again = site(artifact, **SCALED)
    assert {change for _, change in lifecycle.changes(again)} == {None, "ask the endpoint one question"}
    lifecycle.up(again)
    assert inventory() == made

    (artifact / "model_int8.pt").write_bytes(b"another" * 1000)
    updating = site(artifact, **SCALED)
    assert any((change or "").startswith("update bert-qa from") for _, change in lifecycle.changes(updating))
    lifecycle.up(updating)
    updated = inventory()
    assert {kind: len(names) for kind, names in updated.items()} == dict.fromkeys(updated, 1)
    assert updated["models"] != made["models"]
    assert updated["objects"] != made["objects"]
    assert any("Zoë Müller" in line for line in updating.said)  # type: ignore[attr-defined]

    capsys.readouterr()
    status(updating)
    assert "endpoint bert-qa (InService)" in capsys.readouterr().out
    lifecycle.down(lifecycle.existing(updating), updating)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_after_a_failure_of_each_request_up_goes_on_and_down_leaves_nothing(artifact: Path) -> None:
    empty = inventory()
    whole = Failing()
    lifecycle.up(site(artifact, whole.session, **SCALED))
    lifecycle.down(lifecycle.existing(site(artifact, **SCALED)), site(artifact, **SCALED))
    changing = [
        number
        for number, operation in enumerate(whole.operations)
        if not operation.startswith(("Get", "Describe", "Head", "List")) or operation == "GetAuthorizationToken"
    ]
    assert len(changing) > 10
    first_reads = {operation: number for number, operation in reversed(list(enumerate(whole.operations)))}
    reading = [number for number in first_reads.values() if number not in changing and number > 0]
    assert len(reading) > 10
    for number in sorted([*changing, *reading]):
        failing = Failing(number)
        with pytest.raises(ToolError, match=r"step \d+ of 13") as raised:
            lifecycle.up(site(artifact, failing.session, **SCALED))
        assert whole.operations[number] in str(raised.value)
        assert "no [x] for you" in str(raised.value)
        assert "run the same `up`" in str(raised.value)
        goes_on = site(artifact, **SCALED)
        lifecycle.up(goes_on)
        assert inventory()["endpoints"] == ["bert-qa"]
        lifecycle.down(lifecycle.existing(goes_on), goes_on)
        assert inventory() == empty, whole.operations[number]


@pytest.mark.usefixtures("account")
def test_down_leaves_foreign_resources_of_similar_names(artifact: Path) -> None:
    lifecycle.up(site(artifact, name="bert-qa-2", **SCALED))
    mine = site(artifact, **SCALED)
    s3, sagemaker = boto3.client("s3", REGION), boto3.client("sagemaker", REGION)
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="theirs", Key="bert-qa/notes.txt", Body=b"keep")
    sagemaker.create_model(
        ModelName="bert-qa-theirs",
        ExecutionRoleArn=mine.role_arn,
        PrimaryContainer={"Image": "x", "ModelDataUrl": "s3://theirs/model.tar.gz"},
        Tags=[{"Key": OWNER_TAG, "Value": "bert-qa-3"}],
    )
    boto3.client("cloudwatch", REGION).put_metric_alarm(
        AlarmName="bert-qa-cost", Namespace="x", MetricName="y", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    before = inventory()
    in_theirs = site(artifact, bucket="theirs", **SCALED)
    lifecycle.up(in_theirs)
    lifecycle.down(lifecycle.existing(in_theirs), in_theirs)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_a_name_that_is_taken_is_refused(artifact: Path) -> None:
    boto3.client("ecr", REGION).create_repository(repositoryName="bert-qa")
    with pytest.raises(ToolError, match="choose another --name"):
        lifecycle.up(site(artifact))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "values",
    [
        {"mode": "async"},
        {"mode": "serverless"},
        {"traffic": "INT8=90,FP32=10", "max_instances": 2, "scale_by": "concurrency", "scale_target": 4},
        {"uncompressed": True, "tags": {"team": "search"}},
        {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"},
        {"overrides": {"CreateModel": {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}}},
    ],
    ids=["async", "serverless", "a variant each", "uncompressed", "batch", "overrides"],
)
def test_every_mode_comes_and_goes(artifact: Path, values: dict[str, Any]) -> None:
    before = inventory()
    made = site(artifact, **values)
    lifecycle.up(made)
    asked = any("Zoë Müller" in line for line in made.said)  # type: ignore[attr-defined]
    assert asked == made.config.has_endpoint
    models = [boto3.client("sagemaker", REGION).describe_model(ModelName=name) for name in inventory()["models"]]
    assert len(models) == (2 if "traffic" in values else 1)
    assert bool(models[0].get("VpcConfig")) == ("overrides" in values)
    lifecycle.down(lifecycle.existing(made), made)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_an_override_that_does_not_fit_is_named(artifact: Path) -> None:
    with pytest.raises(ToolError, match=r"\[overrides.CreateModel\]"):
        lifecycle.up(site(artifact, overrides={"CreateModel": {"VpcConfig": {"Subnets": "subnet-1"}}}))


@pytest.mark.usefixtures("account")
def test_scaling_of_a_foreign_endpoint_of_the_same_name_stays(artifact: Path) -> None:
    lifecycle.up(site(artifact, **SCALED))
    sagemaker = boto3.client("sagemaker", REGION)
    arn = sagemaker.describe_endpoint(EndpointName="bert-qa")["EndpointArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=[OWNER_TAG])
    mine = site(artifact, **SCALED)
    lifecycle.down(lifecycle.existing(mine), mine)
    left = inventory()
    assert left["endpoints"] == ["bert-qa"]
    assert left["targets"] == ["endpoint/bert-qa/variant/AllTraffic"]


@pytest.mark.usefixtures("account")
def test_up_waits_until_aws_sees_the_new_role(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "POLL_SECONDS", 0.1)
    message = 'Could not access model data at s3://x. Please ensure that the role allows the action "sts:AssumeRole".'
    made = site(artifact, refusing("CreateModel", message, 2))
    lifecycle.up(made)
    assert sum("does not see yet" in line for line in made.said) == 2  # type: ignore[attr-defined]


@pytest.mark.usefixtures("account")
def test_an_image_in_a_format_that_aws_refuses_is_told_with_the_command_that_mends_it(artifact: Path) -> None:
    message = "Unsupported manifest media type application/vnd.oci.image.index.v1+json"
    with pytest.raises(ToolError, match="--provenance=false --output type=docker"):
        lifecycle.up(site(artifact, refusing("CreateModel", message, 1)))


@pytest.mark.usefixtures("account")
def test_a_bucket_of_another_account_is_not_used(artifact: Path) -> None:
    session = boto3.Session(region_name=REGION)
    forbidden = SimpleNamespace(status_code=403), {"Error": {"Code": "403", "Message": "Forbidden"}}
    owners: list[str] = []

    def answer(params: Any, **_: Any) -> Any:
        owners.append(params["headers"].get("x-amz-expected-bucket-owner"))
        return forbidden

    session.events.register("before-call.s3.HeadBucket", answer)
    with pytest.raises(ToolError, match="is another account's.*--bucket"):
        lifecycle.up(site(artifact, session))
    assert set(owners) == {"123456789012"}
