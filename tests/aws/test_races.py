"""What AWS refuses for a moment after another request, because it does not see a new resource everywhere yet."""

from pathlib import Path

import boto3
import pytest
from moto.sagemaker.models import FakeEndpoint

from tests.aws.aws_account import REGION, SCALED, inventory, make_deployment, refusing
from tools.deploy import commands, retry
from tools.deploy.retry import is_not_yet_visible
from tools.deploy.steps.serving import endpoint_state
from tools.errors import ToolError
from tools.remote.aws import AwsError

ROLE = (
    'Please ensure that the role "x" exists and that its trust relationship policy allows the action "sts:AssumeRole"'
)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ("CreateModel", "ValidationException", f"Could not access model data at s3://x. {ROLE}"),
        ("CreateModel", "ValidationException", "Could not assume role arn:aws:iam::123456789012:role/x."),
        ("CreateEndpoint", "ValidationException", "Could not find endpoint configuration"),
        ("PutRolePolicy", "NoSuchEntity", "The role with name x cannot be found."),
        ("RegisterScalableTarget", "ValidationException", "Unable to assume IAM role: arn:aws:iam::1:role/x"),
        ("PutScalingPolicy", "ObjectNotFoundException", "No scalable target registered for service namespace"),
    ],
)
def test_up_repeats_a_request_until_aws_sees_the_new_resource(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, operation: str, code: str, message: str
) -> None:
    monkeypatch.setattr(retry, "POLL_SECONDS", 0.1)
    lines: list[str] = []
    commands.up(make_deployment(artifact, refusing(operation, message, 2, code), lines, **SCALED))
    assert sum("does not see the new resources yet" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        # The caller's own session is named in the message.
        ("CreateModel", "AccessDeniedException", "User: arn:aws:sts::1:assumed-role/SSO/me is not authorized"),
        ("CreateModel", "ValidationException", "Requested image x not found."),
        ("CreateEndpoint", "ResourceLimitExceeded", "The account-level service limit is 0"),
        ("CreateModel", "ThrottlingException", "Rate exceeded"),
        ("DeleteRole", "NoSuchEntity", "The role with name x cannot be found."),
    ],
)  # fmt: skip
def test_other_errors_are_not_repeated(operation: str, code: str, message: str) -> None:
    assert not is_not_yet_visible(AwsError(operation, code, message))


@pytest.mark.usefixtures("account")
def test_the_repetition_has_a_budget(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(retry, "BUDGET_SECONDS", 0.3)
    with pytest.raises(ToolError, match="Could not assume role"):
        commands.up(make_deployment(artifact, refusing("CreateModel", "Could not assume role x", 100)))


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("reason", "is_replaced"),
    [("The role x does not have BatchGetImage permission for the image: y.", True), ("The container failed", False)],
)
def test_an_endpoint_that_failed_before_aws_saw_the_role_is_created_again(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, reason: str, is_replaced: bool
) -> None:
    made: list[FakeEndpoint] = []
    make = FakeEndpoint.__init__

    def fail_first(self: FakeEndpoint, *arguments: object, **values: object) -> None:
        make(self, *arguments, **values)
        made.append(self)
        if len(made) == 1:
            self.endpoint_status, self.failure_reason = "Failed", reason

    monkeypatch.setattr(FakeEndpoint, "__init__", fail_first)
    monkeypatch.setattr(endpoint_state, "POLL_SECONDS", 0.1)
    if is_replaced:
        commands.up(make_deployment(artifact))
    else:
        with pytest.raises(ToolError, match="The container failed"):
            commands.up(make_deployment(artifact))
    assert len(made) == 1 + is_replaced
    assert inventory()["endpoints"] == ["bert-qa"]
    described = boto3.client("sagemaker", REGION).describe_endpoint(EndpointName="bert-qa")
    assert described["EndpointStatus"] == ("InService" if is_replaced else "Failed")
