"""The guide's policy for the person who deploys allows what the tool does, in every mode, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from tests.aws.aws_account import REGION, SCALED, site
from tools.deploy import lifecycle

ROOT = Path(__file__).parents[2]

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
