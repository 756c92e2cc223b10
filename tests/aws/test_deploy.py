"""plan, up, status and down against moto's server, which has AWS's HTTP APIs and keeps state.

InvokeEndpoint goes to tools.local_endpoint, in front of a real server. boto3 checks every request as it does for AWS.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import REGION, SCALED, inventory, make_deployment, refusing, remove_all
from tools.deploy import commands
from tools.deploy.__main__ import plan, status
from tools.deploy.tags import OWNER_TAG
from tools.errors import ToolError


class RefusingSession:
    """A session that records all requests. AWS refuses the request with this number, or the first of this operation."""

    def __init__(self, number: int | str | None = None) -> None:
        self.session = boto3.Session(region_name=REGION)
        self.operations: list[str] = []
        self.number = number
        self.session.events.register("before-call", self._count)

    def _count(self, model: Any, **_: Any) -> Any:
        self.operations.append(model.name)
        if self.number not in (len(self.operations) - 1, model.name) or self.operations.count(self.number) > 1:
            return None
        error = {"Error": {"Code": "AccessDeniedException", "Message": "no [x] for you"}}
        return SimpleNamespace(status_code=403), {**error, "ResponseMetadata": {}}


@pytest.mark.usefixtures("account")
def test_the_commands_create_update_show_and_remove_a_deployment(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = inventory()
    plan(make_deployment(artifact, **SCALED))
    assert inventory() == before
    assert "$0.408 to $1.224 an hour" in capsys.readouterr().out

    commands.up(make_deployment(artifact, **SCALED))
    made = inventory()
    without_alarms = {"dashboards": 0, "metric filters": 0}
    assert {kind: len(names) for kind, names in made.items()} == {**dict.fromkeys(made, 1), **without_alarms}
    again = make_deployment(artifact, **SCALED)
    assert {change for _, change in commands.planned_changes(again)} == {None, "ask the endpoint one question"}
    commands.up(again)
    assert inventory() == made

    (artifact / "model_int8.pt").write_bytes(b"another" * 1000)
    lines: list[str] = []
    updating = make_deployment(artifact, lines=lines, **SCALED)
    assert any((change or "").startswith("update bert-qa from") for _, change in commands.planned_changes(updating))
    commands.up(updating)
    updated = inventory()
    kept = {"models": 2, "configs": 2, "objects": 2}  # for rollback
    assert {kind: len(names) for kind, names in updated.items()} == {
        **dict.fromkeys(updated, 1),
        **without_alarms,
        **kept,
    }
    assert updated["models"] != made["models"]
    assert updated["objects"] != made["objects"]
    assert any("Zoë Müller" in line for line in lines)

    capsys.readouterr()
    status(updating)
    assert "endpoint bert-qa (InService)" in capsys.readouterr().out
    remove_all(updating)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_up_continues_after_a_failure_of_any_change_and_down_leaves_nothing(artifact: Path) -> None:
    empty = inventory()
    complete = RefusingSession()
    commands.up(make_deployment(artifact, complete.session, **SCALED))
    remove_all(make_deployment(artifact, **SCALED))
    changing = [
        number
        for number, operation in enumerate(complete.operations)
        if not operation.startswith(("Get", "Describe", "Head", "List")) or operation == "GetAuthorizationToken"
    ]
    assert len(changing) > 10
    for number in changing:
        commands_fail(artifact, number, complete.operations[number])
        continued = make_deployment(artifact, **SCALED)
        commands.up(continued)
        assert inventory()["endpoints"] == ["bert-qa"]
        remove_all(continued)
        assert inventory() == empty, complete.operations[number]


@pytest.mark.usefixtures("account")
def test_an_update_continues_after_a_failure_of_any_read(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED))
    complete = RefusingSession()
    commands.up(make_deployment(artifact, complete.session, **SCALED, startup_seconds=700))
    reading = {one for one in complete.operations[1:] if one.startswith(("Get", "Describe", "Head", "List"))}
    assert len(reading) > 10
    for operation in sorted(reading):
        (artifact / "model_int8.pt").write_bytes(operation.encode())
        commands_fail(artifact, operation, operation)
    continued = make_deployment(artifact, **SCALED)
    commands.up(continued)
    remove_all(continued)


def commands_fail(artifact: Path, refused: int | str, operation: str) -> None:
    """Run `up` while AWS refuses one request. The error names the request, AWS's words, and how to continue."""
    with pytest.raises(ToolError, match=r"step \d+ of \d+") as raised:
        commands.up(make_deployment(artifact, RefusingSession(refused).session, **SCALED))
    for words in (operation, "no [x] for you", "run the same `up`"):
        assert words in str(raised.value)


@pytest.mark.usefixtures("account")
def test_down_keeps_resources_of_others_with_similar_names(artifact: Path) -> None:
    commands.up(make_deployment(artifact, name="bert-qa-2", **SCALED))
    mine = make_deployment(artifact, **SCALED)
    s3, sagemaker = boto3.client("s3", REGION), boto3.client("sagemaker", REGION)
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="theirs", Key="bert-qa/notes.txt", Body=b"keep")
    sagemaker.create_model(
        ModelName="bert-qa-theirs",
        ExecutionRoleArn=mine.names.role_arn,
        PrimaryContainer={"Image": "x", "ModelDataUrl": "s3://theirs/model.tar.gz"},
        Tags=[{"Key": OWNER_TAG, "Value": "bert-qa-3"}],
    )
    boto3.client("cloudwatch", REGION).put_metric_alarm(
        AlarmName="bert-qa-cost", Namespace="x", MetricName="y", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    before = inventory()
    in_theirs = make_deployment(artifact, bucket="theirs", **SCALED)
    commands.up(in_theirs)
    remove_all(in_theirs)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_up_refuses_a_name_that_somebody_else_uses(artifact: Path) -> None:
    boto3.client("ecr", REGION).create_repository(repositoryName="bert-qa")
    with pytest.raises(ToolError, match="choose another --name"):
        commands.up(make_deployment(artifact))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "values",
    [
        {"mode": "async"},
        {"mode": "serverless"},
        {"traffic": "INT8=90,FP32=10", "max_instances": 2, "scale_by": "concurrency", "scale_target": 4},
        {"uncompressed": True, "tags": {"team": "search"}},
        {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"},
        {"overrides": {"CreateEndpointConfig": {"MetricsConfig": {"EnableEnhancedMetrics": True}}}},
    ],
    ids=["async", "serverless", "two variants", "uncompressed", "batch", "overrides"],
)
def test_every_mode_can_be_created_and_removed(artifact: Path, values: dict[str, Any]) -> None:
    before = inventory()
    lines: list[str] = []
    deployment = make_deployment(artifact, lines=lines, **values)
    commands.up(deployment)
    has_answer = any("Zoë Müller" in line for line in lines)
    assert has_answer == deployment.config.has_endpoint
    models = [boto3.client("sagemaker", REGION).describe_model(ModelName=name) for name in inventory()["models"]]
    assert len(models) == (2 if "traffic" in values else 1)
    remove_all(deployment)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_down_keeps_the_scaling_of_an_endpoint_that_belongs_to_others(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED))
    sagemaker = boto3.client("sagemaker", REGION)
    arn = sagemaker.describe_endpoint(EndpointName="bert-qa")["EndpointArn"]
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=[OWNER_TAG])
    mine = make_deployment(artifact, **SCALED)
    remove_all(mine)
    left = inventory()
    assert left["endpoints"] == ["bert-qa"]
    assert left["targets"] == ["endpoint/bert-qa/variant/AllTraffic"]


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("kind", ["manifest", "index"])
def test_an_image_in_the_oci_format_is_refused_after_the_push(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    media_type = f"application/vnd.oci.image.{kind}.v1+json"
    monkeypatch.setenv("ENGINE_FORMAT", media_type)
    command = "docker build --provenance=false --output type=docker,oci-mediatypes=false"
    for step in ("up", "plan"):  # the second time, the image is in ECR already
        with pytest.raises(ToolError, match=f"bert-qa:5.*{re.escape(media_type)}.*{command}"):
            (commands.up if step == "up" else commands.planned_changes)(make_deployment(artifact))
    assert inventory()["models"] == []
    uri = make_deployment(artifact).image.uri
    with pytest.raises(ToolError, match=re.escape(media_type)):
        commands.planned_changes(make_deployment(artifact, image_uri=uri))


@pytest.mark.usefixtures("account")
def test_the_error_of_create_model_for_an_image_in_the_oci_format_names_the_command(artifact: Path) -> None:
    message = "Unsupported manifest media type application/vnd.oci.image.index.v1+json"
    with pytest.raises(ToolError, match="--provenance=false --output type=docker,oci-mediatypes=false"):
        commands.up(make_deployment(artifact, refusing("CreateModel", message, 1)))


@pytest.mark.usefixtures("account")
def test_up_does_not_use_a_bucket_of_another_account(artifact: Path) -> None:
    session = boto3.Session(region_name=REGION)
    forbidden = SimpleNamespace(status_code=403), {"Error": {"Code": "403", "Message": "Forbidden"}}
    owners: list[str] = []

    def answer(params: Any, **_: Any) -> Any:
        owners.append(params["headers"].get("x-amz-expected-bucket-owner"))
        return forbidden

    session.events.register("before-call.s3.HeadBucket", answer)
    with pytest.raises(ToolError, match="belongs to another account.*--bucket"):
        commands.up(make_deployment(artifact, session))
    assert set(owners) == {"123456789012"}
