"""The policy in docs/deploy.md allows every request of the tool, in every mode, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import REGION, SCALED, make_deployment, remove_all
from tools.deploy import commands

ROOT = Path(__file__).parents[2]

# The permissions whose names differ from the name of the operation.
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
# Permissions that no recorded request shows: tags in a request that creates something, the push by the container
# engine, the end of a failed upload, and what AWS does in the name of the caller.
UNRECORDED = {
    "sagemaker:AddTags", "ecr:TagResource", "iam:TagRole", "application-autoscaling:TagResource",
    "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload", "ecr:PutImage", "s3:AbortMultipartUpload", "iam:PassRole", "iam:CreateServiceLinkedRole",
}  # fmt: skip


@pytest.mark.usefixtures("account")
def test_the_policy_in_the_guide_allows_what_the_tool_does_and_nothing_else(artifact: Path) -> None:
    used: set[str] = set()

    def record(model: Any, **_: Any) -> None:
        service = model.service_model.signing_name.replace("monitoring", "cloudwatch")
        action = f"{service}:{model.name}"
        used.update(ACTIONS.get(action, {action}))

    session = boto3.Session(region_name=REGION)
    session.events.register("before-call", record)
    modes: list[dict[str, Any]] = [
        SCALED,
        SCALED,  # the second `up` compares the configuration with what exists
        {},
        {"traffic": "INT8=90,FP32=10", **SCALED},
        {"mode": "async"},
        {"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"},
    ]
    for values in modes:
        deployment = make_deployment(artifact, session, **values)
        commands.up(deployment)
        for job in sagemaker_backends["123456789012"][REGION].transform_jobs.values():
            job.transform_job_status = "InProgress"
        if values.get("mode") or "traffic" in values:
            remove_all(deployment)

    (policy,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    listed = [statement["Action"] for statement in json.loads(policy)["Statement"]]
    allowed = {action for each in listed for action in ([each] if isinstance(each, str) else each)}
    assert used <= allowed
    assert allowed - used == UNRECORDED
