"""The region, the credentials and the errors of AWS requests, and the overrides of their parameters."""

from pathlib import Path

import pytest

from tools.errors import ToolError
from tools.remote.aws import Aws, AwsError, merge_overrides


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the AWS settings of this machine."""
    for name in ("REGION", "DEFAULT_REGION", "PROFILE", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_the_region_comes_from_the_caller_or_from_the_settings_of_aws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match="give --region"):
        _ = Aws().region
    (tmp_path / "CONFIG_FILE").write_text("[default]\nregion = eu-central-1\n")
    assert Aws().region == "eu-central-1"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert Aws().region == "eu-west-1"
    assert Aws("us-west-2").region == "us-west-2"


def test_wrong_credentials_give_an_error_with_a_readable_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AwsError, match="no AWS credentials were found: log in"):
        Aws("eu-west-1").call("sts", "GetCallerIdentity")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with pytest.raises(AwsError, match="PartialCredentialsError"):
        Aws("eu-west-1").call("sts", "GetCallerIdentity")
    monkeypatch.setenv("AWS_PROFILE", "typo")
    with pytest.raises(AwsError, match=r"ProfileNotFound.*typo"):
        Aws("eu-west-1")


def test_overrides_are_merged_into_tables_and_replace_other_values() -> None:
    request = {"PrimaryContainer": {"Image": "x", "Environment": {"A": "1"}}, "Tags": [1]}
    overrides = {"PrimaryContainer": {"Environment": {"B": "2"}}, "Tags": [2], "VpcConfig": {"Subnets": ["s"]}}
    assert merge_overrides(request, overrides) == {
        "PrimaryContainer": {"Image": "x", "Environment": {"A": "1", "B": "2"}},
        "Tags": [2],
        "VpcConfig": {"Subnets": ["s"]},
    }
    assert request["PrimaryContainer"]["Environment"] == {"A": "1"}
