"""Batch jobs: what `up` starts and says, and what `status` and `down` show whatever the flags are."""

from pathlib import Path
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import BATCH, REGION, make_deployment
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.deploy.config import read_config
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
def test_a_batch_job_has_no_rollback(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **BATCH))
    with pytest.raises(ToolError, match="there is no endpoint bert-qa .*A batch job has no rollback"):
        commands.rollback(make_deployment(artifact))


def test_status_and_down_need_no_values_of_the_job() -> None:
    assert read_config(None, {"mode": "batch"}, is_partial=True).mode == "batch"
    with pytest.raises(ToolError, match="--mode batch needs --batch-input and --batch-output"):
        read_config(None, {"mode": "batch"})
