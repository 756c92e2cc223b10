"""What the user is told after `up`, `plan`, `down` and a failure, and which commands the tool offers."""

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.aws.aws_account import BATCH, REGION, inventory, make_deployment, refusing
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.deploy.deployment import Deployment
from tools.errors import ToolError
from tools.invoke.arguments import parse_arguments


def present_config() -> str:
    name: str = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")["EndpointConfigName"]
    return name


@pytest.mark.usefixtures("account")
def test_a_failed_update_does_not_offer_to_remove_the_endpoint(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    before = present_config()
    with pytest.raises(ToolError) as raised:
        commands.up(make_deployment(artifact, refusing("UpdateEndpoint", "no capacity", 1), startup_seconds=700))
    text = str(raised.value)
    assert f"still serves the configuration {before}, and nothing needs to be undone" in text
    assert "tools.deploy down" not in text


@pytest.mark.usefixtures("account")
def test_a_failure_after_the_update_names_rollback(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    before = present_config()
    values: dict[str, Any] = {"startup_seconds": 700, "max_instances": 2, "scale_target": 5}
    with pytest.raises(ToolError) as raised:
        commands.up(make_deployment(artifact, refusing("PutScalingPolicy", "not today", 1), **values))
    assert f"now has the configuration {present_config()} (status InService)" in str(raised.value)
    assert f"`rollback` returns it to {before}" in str(raised.value)
    assert "tools.deploy down" not in str(raised.value)


A, B, C, Z = ({"startup_seconds": seconds} for seconds in (600, 700, 800, 900))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    "moves",
    [
        (A, B, None, C),  # B was bad, and None is a rollback from it
        (Z, A, B, A),  # the values of A again have A's configuration, which is older than B's
    ],
)
def test_rollback_goes_where_the_advice_says(artifact: Path, moves: tuple[dict[str, Any] | None, ...]) -> None:
    for values in moves[:-1]:
        if values is None:
            commands.rollback(make_deployment(artifact))
        else:
            commands.up(make_deployment(artifact, **values))
    before = present_config()
    last = {**(moves[-1] or {}), "max_instances": 2, "scale_target": 5}
    with pytest.raises(ToolError, match=f"`rollback` returns it to {before}"):
        commands.up(make_deployment(artifact, refusing("PutScalingPolicy", "not today", 1), **last))
    assert commands.rollback(make_deployment(artifact)) == before == present_config()


@pytest.mark.usefixtures("account")
def test_the_configuration_before_a_bad_one_is_kept(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **A))
    before = present_config()
    commands.up(make_deployment(artifact, **B))
    commands.rollback(make_deployment(artifact))
    commands.up(make_deployment(artifact, **C, keep=1))
    assert commands.rollback(make_deployment(artifact)) == before


@pytest.mark.usefixtures("account")
def test_a_refusal_of_the_first_step_says_that_nothing_was_changed(artifact: Path) -> None:
    commands.up(make_deployment(artifact))
    with pytest.raises(ToolError) as raised:
        commands.up(make_deployment(artifact, mode="async"))
    assert "Nothing was changed" in str(raised.value)
    assert "To undo" not in str(raised.value)
    assert "These resources" not in str(raised.value)


@pytest.mark.usefixtures("account")
def test_a_failed_first_creation_offers_down_with_the_bucket(artifact: Path) -> None:
    boto3.client("s3", REGION).create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    with pytest.raises(ToolError) as raised:
        commands.up(make_deployment(artifact, refusing("CreateEndpoint", "no capacity", 1), bucket="theirs"))
    assert f"`python -m tools.deploy down --name bert-qa --region {REGION} --bucket theirs`" in str(raised.value)


@pytest.mark.usefixtures("account")
def test_a_batch_job_that_runs_is_not_to_be_undone(artifact: Path) -> None:
    from moto.sagemaker.models import sagemaker_backends

    commands.up(make_deployment(artifact, **BATCH))
    (job,) = sagemaker_backends["123456789012"][REGION].transform_jobs.values()
    job.transform_job_status = "InProgress"
    changed = {**BATCH, "batch_output": "s3://answers/z"}
    with pytest.raises(ToolError) as raised:
        commands.up(make_deployment(artifact, refusing("CreateTransformJob", "no capacity", 1), **changed))
    assert f"{job.transform_job_name} still runs, and nothing needs to be undone" in str(raised.value)


@pytest.mark.usefixtures("account")
def test_down_without_the_bucket_removes_the_artifact_in_it(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket="bert-qa-theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bert-qa-theirs", Key="mine.txt", Body=b"keep")
    before = inventory()
    command.up(make_deployment(artifact, bucket="bert-qa-theirs"))
    assert f"tools.deploy down --name bert-qa --region {REGION} --bucket bert-qa-theirs" in capsys.readouterr().out
    command.down(make_deployment(artifact), is_confirmed=True)
    assert "All resources are removed." in capsys.readouterr().out
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_a_change_of_the_bucket_leaves_nothing_behind(artifact: Path) -> None:
    s3 = boto3.client("s3", REGION)
    for name in ("first", "second"):
        s3.create_bucket(Bucket=f"bert-qa-{name}", CreateBucketConfiguration={"LocationConstraint": REGION})
    before = inventory()
    commands.up(make_deployment(artifact))
    commands.up(make_deployment(artifact, bucket="bert-qa-first", keep=1))
    assert len(inventory()["objects"]) == 2  # a rollback needs the first one
    last = make_deployment(artifact, bucket="bert-qa-second", keep=0)
    assert "S3 object s3://bert-qa-first/" in str(dict(commands.planned_changes(last))["outdated resources"])
    commands.up(last)
    assert len(inventory()["objects"]) == 1
    assert dict(commands.planned_changes(last))["outdated resources"] is None
    command.down(make_deployment(artifact, bucket="bert-qa-second"), is_confirmed=True)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_down_names_a_bucket_into_which_it_may_not_look(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    commands.up(make_deployment(artifact, bucket="theirs"))
    command.down(make_deployment(artifact), is_confirmed=True)  # without the guide's statements for the bucket
    shown = capsys.readouterr().out
    assert "Removed, except: the artifact in s3://theirs, because you may not look into the bucket" in shown
    assert f"`python -m tools.deploy down --name bert-qa --region {REGION} --bucket theirs` looks again" in shown
    assert "All resources are removed" not in shown


@pytest.mark.usefixtures("account")
def test_down_ends_if_aws_does_not_answer_about_a_bucket(artifact: Path) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket="bert-qa-theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    commands.up(make_deployment(artifact, bucket="bert-qa-theirs"))
    before = inventory()
    busy = refusing("ListObjectsV2", "Please reduce your request rate", 9, "SlowDown")
    with pytest.raises(ToolError, match="SlowDown"):
        command.down(make_deployment(artifact, busy), is_confirmed=True)
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_down_removes_the_objects_of_a_bucket_whose_tags_it_may_not_read(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket="bert-qa-theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    commands.up(make_deployment(artifact, bucket="bert-qa-theirs"))
    capsys.readouterr()

    def refuse_theirs(model: Any, context: dict[str, Any], **_: Any) -> Any:
        if context["parameters"]["Bucket"] != "bert-qa-theirs":
            return None
        return SimpleNamespace(status_code=403), {"Error": {"Code": "AccessDenied", "Message": "not you"}}

    session = boto3.Session(region_name=REGION)
    deployment = make_deployment(artifact, session)
    session.events.register("before-call.s3.GetBucketTagging", refuse_theirs)
    command.down(deployment, is_confirmed=True)
    shown = capsys.readouterr().out
    assert "Removed, except: the bucket bert-qa-theirs, because you may not see whether this tool made it" in shown
    assert inventory()["objects"] == []


@pytest.mark.usefixtures("account")
def test_down_says_what_it_keeps_and_why(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = make_deployment(artifact)
    commands.up(deployment)
    key = "bert-qa/capture/bert-qa/AllTraffic/2026/11/27/10/one.jsonl"
    boto3.client("s3", REGION).put_object(Bucket=deployment.names.bucket, Key=key, Body=b"{}")
    command.down(make_deployment(artifact), is_confirmed=True)
    shown = capsys.readouterr().out
    bucket = deployment.names.bucket
    assert f"Removed, except: S3 bucket {bucket}, which holds objects that `up` did not upload" in shown
    assert f"such as {key} (captured data)" in shown
    assert "All resources are removed" not in shown
    assert "the group /aws/sagemaker/Endpoints/bert-qa" in shown


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("mode", ["realtime", "serverless", "async"])
def test_up_prints_a_command_that_asks_and_one_that_removes(
    artifact: Path, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    command.up(make_deployment(artifact, mode=mode))
    lines = capsys.readouterr().out.splitlines()
    (ask,) = (line.removeprefix("Ask a question: ") for line in lines if line.startswith("Ask a question: "))
    words = shlex.split(ask)
    assert {"bert-qa", REGION} <= set(words)
    assert "..." not in ask
    assert (parse_arguments(words[3:], "").async_folder is not None) == (mode == "async")
    assert lines[-1] == f"Remove everything: python -m tools.deploy down --name bert-qa --region {REGION}"


def test_the_command_for_a_multi_model_endpoint_names_the_artifact(artifact: Path, account: None) -> None:
    from tools.deploy.output import question_command

    deployment: Deployment = make_deployment(artifact, mode="multi-model")
    words = shlex.split(question_command(deployment))[3:]
    given = parse_arguments(words, "")
    assert (given.endpoint, given.target_model) == ("bert-qa", deployment.target_model)


@pytest.mark.usefixtures("account")
def test_a_second_plan_says_that_nothing_would_change(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.plan(make_deployment(artifact))
    assert "Nothing would change" not in capsys.readouterr().out
    commands.up(make_deployment(artifact))
    command.plan(make_deployment(artifact))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Nothing would change; `up` would only ask the first question."


@pytest.mark.usefixtures("account")
def test_a_table_in_a_pipe_cuts_no_value(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = make_deployment(artifact)
    command.plan(deployment)
    assert f"push bert-qa as {deployment.image.uri}" in capsys.readouterr().out


@pytest.mark.usefixtures("account")
def test_an_upload_prints_no_empty_lines_outside_a_terminal(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.up(make_deployment(artifact))
    shown = capsys.readouterr()
    assert "" not in [*shown.out.splitlines(), *shown.err.splitlines()]
