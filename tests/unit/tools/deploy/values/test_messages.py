"""Messages about values that cannot be used: in words, with an example, and by the names of flags."""

import pytest

from tools.deploy.config import DeploymentConfig, read_config
from tools.deploy.names import Names
from tools.deploy.steps.preparation.role_policy import execution_policy
from tools.deploy.values.patterns import WORDS
from tools.errors import ToolError


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"memory_mb": "5000"}, "--memory-mb 5000: must be 1024, 2048, 3072, 4096, 5120 or 6144"),
        ({"memory_mb": "8192"}, "--memory-mb 8192: must be 1024, 2048"),
        ({"name": "Bert_QA"}, "--name Bert_QA: must have at most 32 lowercase letters, .* such as bert-qa-2"),
        ({"name": "a" * 33}, "--name a+: must have at most 32 lowercase letters"),
        ({"instance": "c6i"}, "--instance c6i: must be an instance type .*, such as ml.c6i.2xlarge"),
        ({"kms_key": "alias/foo"}, "--kms-key alias/foo: must be the ARN of a key"),
        ({"role_arn": "foo"}, "--role-arn foo: must be the ARN of a role"),
        ({"bucket": "Upper"}, "--bucket Upper: must be the name of an S3 bucket"),
        ({"bucket": "two..dots"}, "--bucket two..dots: must be the name"),
        ({"bucket": "s3://mine"}, "--bucket s3://mine: must be the name of an S3 bucket without s3://"),
        ({"image_uri": "foo"}, "--image-uri foo: must name an image in ECR"),
        ({"image_uri": "docker.io/library/x:1"}, "--image-uri docker.io/library/x:1: must name an image in ECR"),
        ({"batch_input": "s3://Upper/x"}, "--batch-input s3://Upper/x: must be a prefix in S3"),
        ({"instances": "many"}, "--instances many: must be a whole number"),
        ({"keep": "99"}, "--keep 99: must be at most 10"),
        ({"mode": "fast"}, "--mode fast: must be realtime, async"),
        ({"mode": "async", "scale_to_zero": True}, "--scale-to-zero in async mode needs --scale-target.*, such as 5"),
        ({"dollars_per_hour": "cheap"}, "--dollars-per-hour cheap: must be a price such as 0.408"),
        ({"dollars_per_hour": "-1"}, "must be a price"),
        ({"dollars_per_hour": "c6i=1"}, "must be a price"),
        ({"environment": {"A": 5}}, r"\[environment\] A: must be a string"),
        ({"instance": "ml.c5.large", "instance_pools": "ml.c6i.large,ml.c5.large"}, "--instance-pools replaces"),
        ({"instance": "ml.c5.large", "mode": "serverless"}, "--instance has no effect in serverless mode"),
        ({"memory_mb": 2048}, "--memory-mb has no effect in realtime mode"),
        ({"batch_input": "s3://mine/x"}, "--batch-input has no effect in realtime mode"),
    ],
)
def test_the_message_says_what_would_be_right(values: dict[str, object], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        read_config(None, values)


def test_no_message_shows_a_pattern() -> None:
    fields = DeploymentConfig.model_fields
    with_pattern = {name for name in fields if "pattern" in repr(fields[name].metadata)}
    assert with_pattern <= set(WORDS) <= set(fields)


@pytest.mark.parametrize(
    "uri",
    [
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com/bert-qa:0.1.0",
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/team/bert_qa",
        "111122223333.dkr.ecr-fips.us-gov-west-1.amazonaws.com/bert-qa@sha256:" + "0" * 64,
    ],
)
def test_names_of_images_in_ecr_are_accepted(uri: str) -> None:
    assert read_config(None, {"image_uri": uri}).image_uri == uri


def test_a_private_registry_takes_any_image_and_no_permission_for_ecr() -> None:
    image = {"PrimaryContainer": {"ImageConfig": {"RepositoryAccessMode": "Vpc"}}}
    config = read_config(None, {"image_uri": "registry.internal/bert-qa:1", "overrides": {"CreateModel": image}})
    assert config.has_private_registry
    statements = execution_policy(config, Names(config, "111122223333", "aws"))
    assert not [one for one in statements if "ecr:BatchGetImage" in one["Action"]]
    with pytest.raises(ToolError, match="must name an image in ECR"):
        read_config(None, {"image_uri": "registry.internal/bert-qa:1"})
