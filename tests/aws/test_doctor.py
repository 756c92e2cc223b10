"""doctor against a scripted AWS: what it finds before anything is created, and that it changes nothing."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.aws import aws_account, scripted_aws
from tests.aws.aws_account import BATCH, INSTANCE, REGION, complete_values, make_deployment
from tests.aws.guide_policy import statements_for
from tests.aws.iam import Need, is_allowed
from tools.deploy import __main__ as command
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.deploy.doctor.permissions import needed_permissions
from tools.deploy.names import Names
from tools.errors import ToolError
from tools.remote.aws import Aws

ACCOUNT = "123456789012"
ROLE_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/Engineer/me"
QUOTA = f"{INSTANCE} for endpoint usage"


def identity(_: dict[str, Any]) -> str:
    return (
        "<GetCallerIdentityResponse><GetCallerIdentityResult>"
        f"<Arn>{ROLE_SESSION}</Arn><UserId>x</UserId><Account>{ACCOUNT}</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def simulation(*denied: str, path: str = "/") -> scripted_aws.Answer:
    """Answer SimulatePrincipalPolicy for the caller's role: everything is allowed but these actions."""

    def answer(asked: dict[str, Any]) -> str:
        assert asked["PolicySourceArn"] == f"arn:aws:iam::{ACCOUNT}:role{path}Engineer"
        members = "".join(
            f"<member><EvalActionName>{action}</EvalActionName>"
            f"<EvalDecision>{'implicitDeny' if action in denied else 'allowed'}</EvalDecision></member>"
            for key, action in asked.items()
            if key.startswith("ActionNames.member.")
        )
        return (
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
            f"<EvaluationResults>{members}</EvaluationResults>"
            "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        )

    return answer


def healthy() -> dict[str, scripted_aws.Answer]:
    """Return the answers of an account in which nothing exists and everything is allowed."""
    return {
        "GetCallerIdentity": identity,
        "SimulatePrincipalPolicy": simulation(),
        "ListServiceQuotas": lambda asked: {"Quotas": [{"QuotaName": QUOTA, "Value": 4.0}]},
        "ListModels": lambda asked: {"Models": []},
        "DescribeEndpoint": lambda asked: {"__type": "ValidationException", "message": "Could not find endpoint"},
        "HeadBucket": lambda asked: None,
        "DescribeImages": lambda asked: {"__type": "RepositoryNotFoundException", "message": "no repository"},
        "GetAuthorizationToken": lambda asked: {
            "authorizationData": [
                {"authorizationToken": "QVdTOng=", "proxyEndpoint": f"https://{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"}
            ]
        },
    }


def examine(
    answers: dict[str, scripted_aws.Answer], artifact: Path, patch: pytest.MonkeyPatch, **values: Any
) -> list[str]:
    """Run doctor, and return the operations that it has sent."""
    aws_account.install_engine(artifact.parent / "bin", patch)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("COLUMNS", "200")
    with scripted_aws.running(answers) as (url, received):
        patch.setenv("AWS_ENDPOINT_URL", url)
        session = boto3.Session(region_name=REGION)
        config = DeploymentConfig(**complete_values(artifact, values))
        command.doctor(Deployment(Aws(REGION, session=session), config, print))
    return received


def test_nothing_fails_in_a_healthy_account_and_nothing_is_changed(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    received = examine(healthy(), artifact, monkeypatch)
    assert "No check failed" in capsys.readouterr().out
    assert not [one for one in received if one.startswith(("Create", "Put", "Delete", "Update", "Register"))]


def test_the_role_of_the_caller_may_have_a_path(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/aws-reserved/sso.amazonaws.com/"
    role = (
        f"<Path>{path}</Path><RoleName>Engineer</RoleName><RoleId>AROA0123456789ABCDEF</RoleId>"
        f"<Arn>arn:aws:iam::{ACCOUNT}:role{path}Engineer</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>"
    )
    answers: dict[str, scripted_aws.Answer] = {
        "GetRole": lambda asked: (
            f"<GetRoleResponse><GetRoleResult><Role>{role}</Role></GetRoleResult></GetRoleResponse>"
        ),
        "SimulatePrincipalPolicy": simulation(path=path),
    }
    received = examine({**healthy(), **answers}, artifact, monkeypatch)
    assert "SimulatePrincipalPolicy" in received


OCI = "application/vnd.oci.image.index.v1+json"
FAULTS: dict[str, tuple[dict[str, scripted_aws.Answer], dict[str, Any], str]] = {
    "permission": ({"SimulatePrincipalPolicy": simulation("iam:PassRole")}, {}, "iam:PassRole on arn:aws:iam"),
    "quota": ({"ListServiceQuotas": lambda _: {"Quotas": [{"QuotaName": QUOTA, "Value": 0}]}}, {}, "has 0 and needs 2"),
    "region": ({"ListModels": lambda _: {"__type": "AccessDeniedException"}}, {}, "ListModels: AccessDeniedException"),
    "instance type": ({}, {"instance": "ml.c8i.large"}, "SageMaker has no ml.c8i.large"),
    "artifact": ({}, {"model_dir": Path("nowhere")}, "nowhere is not an artifact"),
    "image": (
        {"DescribeImages": lambda _: {"imageDetails": [{"imageManifestMediaType": OCI}]}}, {}, f"has the format {OCI}"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_fail_is_named(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    answers, values, words = FAULTS[fault]
    with pytest.raises(ToolError, match="`up` would fail"):
        examine({**healthy(), **answers}, artifact, monkeypatch, **values)
    assert words in " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_caller_who_may_not_ask_about_permissions_and_quotas_is_told_so(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = healthy()
    del answers["SimulatePrincipalPolicy"], answers["ListServiceQuotas"]
    examine(answers, artifact, monkeypatch)
    shown = capsys.readouterr().out
    assert shown.count("unknown") == 2
    assert "docs/deploy.md lists what you need" in shown


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("values", [{}, {"mode": "serverless"}, {"mode": "multi-model"}])
def test_doctor_says_what_it_cannot_know_if_aws_does_not_answer_it(
    artifact: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any]
) -> None:
    """moto has neither SimulatePrincipalPolicy nor the quotas."""
    command.doctor(make_deployment(artifact, **values))
    shown = capsys.readouterr().out
    assert "No check failed" in shown
    assert "Traceback" not in shown
    assert shown.count("the answer was not one of AWS. Is AWS_ENDPOINT_URL set") == 2
    assert "<html" not in shown.lower()


@pytest.mark.parametrize(
    ("values", "actions"),
    [
        (
            {"kms_key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"},
            {"kms:CreateGrant", "kms:DescribeKey", "kms:ListGrants"},
        ),
        ({"bucket": "theirs"}, {"s3:GetEncryptionConfiguration", "s3:CreateBucket", "s3:PutBucketPublicAccessBlock"}),
        ({**BATCH, "subnets": "a,b", "security_groups": "c"}, {"ec2:DescribeSubnets", "ec2:DescribeNetworkInterfaces"}),
    ],
)
def test_doctor_asks_for_what_a_choice_needs(values: dict[str, Any], actions: set[str]) -> None:
    config = DeploymentConfig(region=REGION, **values)
    asked = needed_permissions(config, Names(config, ACCOUNT, "aws"), creates_bucket=True)
    assert actions <= {action for permission in asked for action in permission.actions}


def test_the_policy_of_a_key_may_allow_more(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    answers = {**healthy(), "SimulatePrincipalPolicy": simulation("kms:CreateGrant")}
    examine(answers, artifact, monkeypatch, kms_key=key)
    assert f"lack kms:CreateGrant on {key}; the policy of the key may allow it" in capsys.readouterr().out


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mode": "async", "scale_to_zero": True, "scale_target": 5},
        {"mode": "serverless"},
        {"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"},
        {"alarms": True},
        {"rollback_alarm": True, "max_instances": 3, "scale_target": 700},
        {"subnets": "subnet-1,subnet-2", "security_groups": "sg-1"},
        {"bucket": "theirs"},
        {"kms_key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0123-45"},
    ],
)
def test_doctor_asks_for_what_the_guide_grants(values: dict[str, Any]) -> None:
    config = DeploymentConfig(region=REGION, **values)
    statements = statements_for(config)
    for permission in needed_permissions(config, Names(config, ACCOUNT, "aws"), creates_bucket=True):
        for action in permission.actions:
            assert is_allowed(statements, Need(action, permission.resource, permission.context)), action
