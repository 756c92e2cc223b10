"""The names of a deployment's resources."""

import pytest

from tools.deploy.config import DeploymentConfig
from tools.deploy.names import Names

REQUEST = {"PrimaryContainer": {"Image": "one"}}


def names(**values: object) -> Names:
    return Names(DeploymentConfig.model_validate({"region": "eu-west-1", **values}), "111122223333", "aws")


def test_default_names_begin_with_the_name_of_the_deployment() -> None:
    found = names(name="mine")
    assert found.bucket == "mine-111122223333-eu-west-1"
    assert found.repository == "mine"
    assert found.role_arn == "arn:aws:iam::111122223333:role/mine-eu-west-1"
    assert found.artifact_prefix("0123456789abcdef") == "mine/0123456789ab/"
    (variant,) = DeploymentConfig().variants
    assert found.alarm(variant) == "mine-AllTraffic-5xx"
    assert found.scaling_target("AllTraffic") == "endpoint/mine/variant/AllTraffic"


def test_configured_names_replace_the_defaults() -> None:
    found = names(bucket="theirs", role_arn="arn:aws:iam::111122223333:role/theirs")
    assert (found.bucket, found.role_arn) == ("theirs", "arn:aws:iam::111122223333:role/theirs")
    assert names(name="mine", role_path="/a/b/").role_arn == "arn:aws:iam::111122223333:role/a/b/mine-eu-west-1"


def test_arns_name_partition_region_and_account() -> None:
    found = Names(DeploymentConfig(region="cn-north-1"), "111122223333", "aws-cn")
    assert found.arn("ecr", "repository/x") == "arn:aws-cn:ecr:cn-north-1:111122223333:repository/x"
    assert found.s3_arn("bucket/*") == "arn:aws-cn:s3:::bucket/*"


@pytest.mark.parametrize(
    ("values", "request_parameters"),
    [
        ({}, {"PrimaryContainer": {"Image": "two"}}),
        ({"overrides": {"CreateModel": {"VpcConfig": {"Subnets": ["subnet-1"]}}}}, REQUEST),
    ],
    ids=["another request", "another override"],
)
def test_a_versioned_name_changes_with_the_request_and_its_overrides(
    values: dict[str, object], request_parameters: dict[str, object]
) -> None:
    first = names().versioned(REQUEST, "CreateModel", "INT8")
    assert first.startswith("bert-qa-int8-")
    assert names().versioned(REQUEST, "CreateModel", "INT8") == first
    assert names(**values).versioned(request_parameters, "CreateModel", "INT8") != first


def test_overrides_of_other_operations_do_not_change_a_versioned_name() -> None:
    other = names(overrides={"CreateEndpoint": {"Tags": []}})
    assert other.versioned(REQUEST, "CreateModel") == names().versioned(REQUEST, "CreateModel")
