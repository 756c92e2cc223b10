"""The whole life of a deployment against moto's server: AWS's APIs over real HTTP, with state, on localhost.

InvokeEndpoint goes to tools.local_endpoint in front of the real server. botocore validates every request as for AWS.
"""

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests import aws_account
from tests.aws_account import INSTANCE, REGION, inventory
from tools.aws import Aws
from tools.deploy import lifecycle
from tools.deploy import site as site_module
from tools.deploy.__main__ import plan, status
from tools.deploy.config import OWNER_TAG, Deployment
from tools.deploy.site import Site
from tools.errors import ToolError
from tools.local_endpoint import running
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[1]

# Where IAM's name is not the operation's; S3's permissions are named by what is touched.
ACTIONS = {
    "s3:HeadBucket": {"s3:ListBucket"},
    "s3:ListObjectsV2": {"s3:ListBucket"},
    "s3:HeadObject": {"s3:GetObject", "s3:ListBucket"},
    "s3:DeleteObjects": {"s3:DeleteObject"},
    "s3:GetPublicAccessBlock": {"s3:GetBucketPublicAccessBlock"},
    "s3:PutPublicAccessBlock": {"s3:PutBucketPublicAccessBlock"},
    "s3:PutObject": {"s3:PutObject", "s3:PutObjectTagging"},
    "cloudwatch:PutMetricAlarm": {"cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"},
}
# What no request of the tool shows: tags that come with a creation, the engine's push, a part of an upload that fails,
# what AWS does in the caller's name.
UNSEEN = {
    "sagemaker:AddTags", "ecr:TagResource", "iam:TagRole", "application-autoscaling:TagResource",
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload", "ecr:PutImage", "s3:AbortMultipartUpload", "iam:PassRole", "iam:CreateServiceLinkedRole",
}  # fmt: skip

ENGINE = """#!{python}
import sys, boto3
if sys.argv[1:3] == ["image", "inspect"]:
    print("sha256:" + "5" * 64)
elif sys.argv[1] == "login":
    assert sys.stdin.read()
elif sys.argv[1] == "push":
    repository, tag = sys.argv[2].partition("/")[2].split(":")
    manifest = '{{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}}'
    boto3.client("ecr", "{region}").put_image(repositoryName=repository, imageManifest=manifest, imageTag=tag)
"""


@pytest.fixture(scope="module")
def moto(monkeypatch_module: pytest.MonkeyPatch) -> Iterator[str]:
    with aws_account.running(monkeypatch_module) as url:
        yield url


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def runtime(server: LocalServer) -> Iterator[str]:
    with running(server.url) as url:
        yield url


@pytest.fixture
def account(moto: str, runtime: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty account, its credentials in the environment, and a container engine that pushes into its ECR.

    The engine stands in for docker alone, whose push to a registry is not part of these tests.
    """
    aws_account.enter(moto, runtime, monkeypatch)
    engine = tmp_path / "bin" / "engine"
    engine.parent.mkdir()
    engine.write_text(ENGINE.format(python=sys.executable, region=REGION))
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{engine.parent}:{os.environ['PATH']}")


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Small files under the names of the AWS sample: AWS's side does not look into them."""
    directory = tmp_path / "artifact"
    directory.mkdir()
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model_int8.pt").write_bytes(b"int8" * 1000)
    return directory


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


def site(artifact: Path, session: Any = None, **values: Any) -> Site:
    said: list[str] = []
    config = Deployment(**{"region": REGION, "model_dir": artifact, "engine": "engine", "instance": INSTANCE, **values})
    made = Site(Aws(REGION, config.overrides, session), config, said.append)
    made.said = said  # type: ignore[attr-defined]
    return made


SCALED = {"max_instances": 3, "scale_target": 700, "rollback_alarm": True}


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
def test_a_batch_job_that_failed_runs_again_and_down_stops_one_under_way(artifact: Path) -> None:
    values = {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"}
    jobs = sagemaker_backends["123456789012"][REGION].transform_jobs
    lifecycle.up(site(artifact, **values))
    lifecycle.up(site(artifact, **values))
    (first,) = jobs.values()
    first.transform_job_status = "Failed"
    lifecycle.up(site(artifact, **values))
    _, second = jobs.values()
    assert second.transform_job_name == f"{first.transform_job_name}-2"
    second.transform_job_status = "InProgress"
    last = site(artifact, **values)
    assert f"batch transform {second.transform_job_name} (InProgress)" in map(str, lifecycle.existing(last))
    lifecycle.down(lifecycle.existing(last), last)
    assert second.transform_job_status == "Stopped"


def refusing(operation: str, message: str, times: int) -> boto3.Session:
    """A session in which AWS answers an operation so for the first times."""
    session, refused = boto3.Session(region_name=REGION), iter(range(times))

    def answer(**_: Any) -> Any:
        if next(refused, None) is None:
            return None
        return SimpleNamespace(status_code=400), {"Error": {"Code": "ValidationException", "Message": message}}

    session.events.register(f"before-call.sagemaker.{operation}", answer)
    return session


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


@pytest.mark.usefixtures("account")
def test_the_guides_policy_allows_what_the_tool_does_and_nothing_else(artifact: Path) -> None:
    used: set[str] = set()

    def note(model: Any, **_: Any) -> None:
        service = model.service_model.signing_name.replace("monitoring", "cloudwatch")
        action = f"{service}:{model.name}"
        used.update(ACTIONS.get(action, {action}))

    session = boto3.Session(region_name=REGION)
    session.events.register("before-call", note)
    modes: list[dict[str, Any]] = [
        SCALED,
        SCALED,  # the second time it compares what is there
        {},
        {"traffic": "INT8=90,FP32=10", **SCALED},
        {"mode": "async"},
        {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"},
    ]
    for values in modes:
        one = site(artifact, session, **values)
        lifecycle.up(one)
        for job in sagemaker_backends["123456789012"][REGION].transform_jobs.values():
            job.transform_job_status = "InProgress"
        if values.get("mode") or "traffic" in values:
            lifecycle.down(lifecycle.existing(one), one)

    (policy,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    listed = [statement["Action"] for statement in json.loads(policy)["Statement"]]
    allowed = {action for each in listed for action in ([each] if isinstance(each, str) else each)}
    assert used <= allowed
    assert allowed - used == UNSEEN
