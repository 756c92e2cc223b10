"""Batch jobs: what `up` starts and says, and what `status` and `down` show whatever the flags are."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import BATCH, REGION, Recorder, make_deployment
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.deploy.config import DeploymentConfig, read_config
from tools.deploy.names import Names
from tools.deploy.steps.preparation.role_policy import execution_policy
from tools.errors import ToolError


def jobs() -> list[Any]:
    return list(sagemaker_backends["123456789012"][REGION].transform_jobs.values())


@pytest.mark.usefixtures("account")
def test_up_says_whether_it_has_started_a_job(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    command.up(make_deployment(artifact, lines=lines, **BATCH))
    (job,) = jobs()
    assert f"The job {job.transform_job_name} is started" in lines[-1]
    assert "Cost: $0.408 an hour while the job runs" in lines[-1]
    for _ in range(2):  # the second time after `down`, which cannot remove the record of the job
        lines.clear()
        capsys.readouterr()
        command.up(make_deployment(artifact, lines=lines, **BATCH))
        assert f"The job {job.transform_job_name} completed at 20" in lines[-1]
        assert "Nothing was started. To run it again, change --batch-output." in lines[-1]
        assert not any("an hour" in line for line in (*lines, capsys.readouterr().out))
        command.plan(make_deployment(artifact, **BATCH))
        assert "Nothing would change, and no job would start." in capsys.readouterr().out
        command.down(make_deployment(artifact), is_confirmed=True)
        shown = capsys.readouterr().out
        assert "/aws/sagemaker/TransformJobs" in shown
        assert "/aws/sagemaker/Endpoints" not in shown
    assert len(jobs()) == 1


@pytest.mark.usefixtures("account")
def test_status_shows_every_job_without_any_flag(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands.up(make_deployment(artifact, **BATCH))
    commands.up(make_deployment(artifact, **{**BATCH, "batch_output": "s3://answers/z"}))
    first, second = jobs()
    first.transform_job_status, first.failure_reason = "Failed", "ClientError: the archive is damaged"
    command.status(make_deployment(artifact))
    shown = capsys.readouterr().out
    name = f"batch transform {first.transform_job_name}"
    assert f"{name}: Failed, ClientError: the archive is damaged; from s3://questions/x to s3://answers/y" in shown
    assert f"batch transform {second.transform_job_name}: Completed; from s3://questions/x to s3://answers/z" in shown


@pytest.mark.usefixtures("account")
def test_a_completed_job_needs_its_input_no_more(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **BATCH))
    lines: list[str] = []
    again = make_deployment(artifact, lines=lines, **BATCH)
    boto3.client("s3", REGION).delete_object(Bucket="questions", Key="x/1.jsonl")
    commands.up(again)
    assert "completed at 20" in lines[-1]
    other = make_deployment(artifact, **{**BATCH, "batch_output": "s3://answers/z"})
    boto3.client("s3", REGION).delete_object(Bucket="questions", Key="x/1.jsonl")
    with pytest.raises(ToolError, match="no object has this prefix"):
        commands.planned_changes(other)


@pytest.mark.usefixtures("account")
def test_down_waits_for_a_job_that_stops_already(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **BATCH))
    (job,) = jobs()
    job.transform_job_status = "Stopping"
    recorder = Recorder()

    def stop(**_: Any) -> None:
        job.transform_job_status = "Stopped"

    recorder.session.events.register("before-call.sagemaker.DescribeTransformJob", stop)
    deployment = make_deployment(artifact, recorder.session)
    resources = commands.existing_resources(deployment)
    assert f"batch transform {job.transform_job_name} (Stopping)" in map(str, resources)
    commands.down(deployment, resources)
    assert job.transform_job_status == "Stopped"
    assert recorder.sent("StopTransformJob") == []


@pytest.mark.parametrize(("source", "resource"), [("s3://data", "data/*"), ("s3://data/x", "data/x*")])
def test_the_role_of_a_job_reads_no_bucket_that_only_begins_like_its_own(source: str, resource: str) -> None:
    config = DeploymentConfig(**{**BATCH, "batch_input": source, "region": REGION})
    statements = execution_policy(config, Names(config, "123456789012", "aws"))
    resources = [one["Resource"] for one in statements if one["Action"] == ["s3:GetObject"]]
    assert f"arn:aws:s3:::{resource}" in resources
    assert "arn:aws:s3:::data*" not in resources


@pytest.mark.usefixtures("account")
def test_a_batch_job_has_no_rollback(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **BATCH))
    with pytest.raises(ToolError, match="there is no endpoint bert-qa .*A batch job has no rollback"):
        commands.rollback(make_deployment(artifact))


def test_status_and_down_need_no_values_of_the_job() -> None:
    assert read_config(None, {"mode": "batch"}, is_partial=True).mode == "batch"
    with pytest.raises(ToolError, match="--mode batch needs --batch-input and --batch-output"):
        read_config(None, {"mode": "batch"})
