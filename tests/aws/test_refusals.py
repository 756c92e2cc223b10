"""The rules of tests/aws/refusals.py refuse what they say: each request here is one that AWS refuses."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.sagemaker.models import FakeEndpointConfig

from tests.aws import aws_account, refusals
from tests.aws.aws_account import REGION
from tests.aws.recording import watch

VARIANT = {"VariantName": "v", "ModelName": "m"}
SERVERLESS = {**VARIANT, "ServerlessConfig": {"MemorySizeInMB": 3072, "MaxConcurrency": 5}}
INSTANCE = {**VARIANT, "InstanceType": "ml.c6i.large", "InitialInstanceCount": 1}


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "words"),
    [
        ("s3", "put_object", {"Bucket": "b", "Key": "k", "Tagging": "&".join(f"t{n}=v" for n in range(11))}, "than 10"),
        (
            "sagemaker",
            "create_endpoint_config",
            {
                "EndpointConfigName": "c",
                "ProductionVariants": [{**VARIANT, "ServerlessConfig": {"MemorySizeInMB": 4096, "MaxConcurrency": 5}}],
            },
            "3072",
        ),
        (
            "sagemaker",
            "create_endpoint_config",
            {
                "EndpointConfigName": "c",
                "ProductionVariants": [{**SERVERLESS, "RoutingConfig": {"RoutingStrategy": "RANDOM"}}],
            },
            "RoutingConfig",
        ),
        (
            "sagemaker",
            "create_endpoint_config",
            {
                "EndpointConfigName": "c",
                "KmsKeyId": "k",
                "ProductionVariants": [{**INSTANCE, "InstanceType": "ml.m5d.large"}],
            },
            "local storage",
        ),
        (
            "sagemaker",
            "create_endpoint_config",
            {"EndpointConfigName": "c", "ProductionVariants": [{**INSTANCE, "InstanceType": "ml.c9x.large"}]},
            "ml.c9x.large is not one of",
        ),
        ("sagemaker", "describe_endpoint", {"EndpointName": "under_score"}, "does not match"),
        (
            "application-autoscaling",
            "register_scalable_target",
            {
                "ServiceNamespace": "sagemaker",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "ResourceId": "endpoint/none/variant/v",
                "MinCapacity": 0,
            },
            "No endpoint",
        ),
    ],
)
def test_a_request_that_aws_refuses_is_refused(
    service: str, operation: str, parameters: dict[str, Any], words: str
) -> None:
    client = watch(boto3.Session("x", "y"), refusals.check).client(service, REGION)
    with pytest.raises(ClientError, match=words):
        getattr(client, operation)(**parameters)


def test_a_configuration_without_variants_passes_the_check_of_instance_pools() -> None:
    """CloudFormation gives None for what a template leaves out."""
    aws_account._check_variants(FakeEndpointConfig.__new__(FakeEndpointConfig), None)
