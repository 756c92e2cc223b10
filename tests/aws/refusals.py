"""What AWS refuses and moto accepts. Each rule names its source in its docstring.

`check` gets every request of the tools in the tests (see make_deployment), before moto gets it. The rules read moto's
state, because moto runs in this process.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from moto.ec2.models import ec2_backends
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.sagemaker.models import sagemaker_backends

from tests.aws.api_model import check_limits
from tests.aws.iam import ACCOUNT, ANY, REGION, Need, is_allowed
from tests.aws.recording import Refusal, Request

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

Rule = Callable[[dict[str, Any]], None]
RULES: dict[str, list[Rule]] = {}


def check(request: Request) -> None:
    """Refuse the request if AWS would."""
    check_limits(request)
    for rule in RULES.get(request.operation, ()):
        rule(request.parameters)


def refused(*operations: str) -> Callable[[Rule], Rule]:
    """Apply a rule to these operations."""

    def add(rule: Rule) -> Rule:
        for operation in operations:
            RULES.setdefault(operation, []).append(rule)
        return rule

    return add


@refused("CreateModel")
def images_in_the_oci_format(asked: dict[str, Any]) -> None:
    """https://github.com/aws/amazon-sagemaker-feedback/issues/180, https://github.com/mlflow/mlflow/issues/13834"""
    image = asked["PrimaryContainer"]["Image"]
    repository, _, tag = image.partition("/")[2].partition(":")
    stored = ecr_backends[ACCOUNT][REGION].repositories.get(repository)
    for one in stored.images if stored else ():
        if tag in one.image_tags and one.image_manifest_media_type != DOCKER_MANIFEST:
            raise Refusal(f"Unsupported manifest media type {one.image_manifest_media_type}")


@refused("PutMetricFilter", "DescribeMetricFilters", "DeleteMetricFilter")
def a_log_group_that_does_not_exist(asked: dict[str, Any]) -> None:
    """botocore, the errors of these operations: ResourceNotFoundException"""
    if asked["logGroupName"] not in logs_backends[ACCOUNT][REGION].groups:
        raise Refusal("The specified log group does not exist.", "ResourceNotFoundException")


@refused("PutObject", "CreateMultipartUpload")
def more_than_ten_tags_of_an_object(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html"""
    if len(parse_qsl(asked.get("Tagging", ""))) > 10:
        raise Refusal("Object tags cannot be greater than 10", "BadRequest")


@refused("CreateEndpointConfig")
def serverless_memory_in_a_new_account(asked: dict[str, Any]) -> None:
    """Several public reports: "the account-level service limit 'Memory size in MB per serverless endpoint' is 3072"."""
    for variant in asked["ProductionVariants"]:
        if variant.get("ServerlessConfig", {}).get("MemorySizeInMB", 0) > 3072:
            raise Refusal(
                "The account-level service limit 'Memory size in MB per serverless endpoint' is 3072 MBs",
                "ResourceLimitExceeded",
            )


@refused("CreateEndpointConfig")
def instance_settings_of_a_serverless_variant(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, under "Feature exclusions" """
    serverless = [one for one in asked["ProductionVariants"] if "ServerlessConfig" in one]
    if not serverless:
        return
    if len(asked["ProductionVariants"]) > 1 or "DataCaptureConfig" in asked or "AsyncInferenceConfig" in asked:
        raise Refusal("a serverless endpoint has one variant, no data capture and no asynchronous inference")
    for name in ("InstanceType", "InitialInstanceCount", "RoutingConfig", "VolumeSizeInGB", "ManagedInstanceScaling"):
        if name in serverless[0]:
            raise Refusal(f"{name} cannot be set for a serverless variant")
    model = sagemaker_backends[ACCOUNT][REGION]._models[serverless[0]["ModelName"]]
    if model.vpc_config or model.enable_network_isolation:
        raise Refusal("VPC configuration and network isolation are not supported for serverless endpoints")


@refused("CreateEndpointConfig")
def encryption_of_a_local_disk(asked: dict[str, Any]) -> None:
    """botocore, CreateEndpointConfigInput.KmsKeyId: types with local storage do not take a key."""
    for variant in asked["ProductionVariants"]:
        if "KmsKeyId" in asked and re.match(r"ml\.(\w+\d\w*d\w*|g5\w*)\.", variant.get("InstanceType", "")):
            raise Refusal("KmsKeyId cannot be used with instance types with local storage")


@refused("CreateEndpointConfig")
def instance_pools_beside_an_instance_type(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html: pools replace the type."""
    for variant in asked["ProductionVariants"]:
        pools = variant.get("InstancePools", [])
        if pools and ("InstanceType" in variant or "ServerlessConfig" in variant):
            raise Refusal("InstancePools cannot be combined with InstanceType or ServerlessConfig")
        if len({pool["Priority"] for pool in pools}) < len(pools):
            raise Refusal("each instance pool needs a priority of its own")


@refused("CreateEndpoint", "UpdateEndpoint")
def permissions_that_the_role_of_an_endpoint_lacks(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html and host-vpc.html"""
    backend = sagemaker_backends[ACCOUNT][REGION]
    config = backend.endpoint_configs[asked["EndpointConfigName"]]
    for variant in config.production_variants:
        model = backend._models[variant["ModelName"]]
        statements = _statements_of(model.execution_role_arn)
        for need in _needs_of_role(config, model.vpc_config or {}):
            if statements is not None and not is_allowed(statements, need):
                raise Refusal(f"The role {model.execution_role_arn} does not have {need.action} on {need.resource}")


def _statements_of(role_arn: str) -> list[dict[str, Any]] | None:
    """Return the statements of a role; None if there is no such role, because some tests name one that is not there."""
    for role in iam_backends[ACCOUNT]["aws"].roles.values():
        if role.arn == role_arn:
            policies = [json.loads(text) for text in role.policies.values()]
            return [statement for policy in policies for statement in policy["Statement"]]
    return None


def _needs_of_role(config: Any, vpc: dict[str, list[str]]) -> Iterator[Need]:
    ec2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    for subnet in vpc.get("Subnets", ()):
        yield Need("ec2:CreateNetworkInterface", f"{ec2}:subnet/{subnet}")
        yield Need("ec2:CreateNetworkInterface", f"{ec2}:network-interface/eni-1")
        for action in ("CreateNetworkInterfacePermission", "DeleteNetworkInterface"):
            yield Need(f"ec2:{action}", f"{ec2}:network-interface/eni-1")
        for what in ("NetworkInterfaces", "Vpcs", "VpcEndpoints", "DhcpOptions", "Subnets", "SecurityGroups"):
            yield Need(f"ec2:Describe{what}", ANY)
    for group in vpc.get("SecurityGroupIds", ()):
        yield Need("ec2:CreateNetworkInterface", f"{ec2}:security-group/{group}")
    if config.kms_key_id:
        yield Need("kms:CreateGrant", config.kms_key_id, {"kms:GrantIsForAWSResource": "true"})
    capture = config.data_capture_config or {}
    for uri in filter(None, (capture.get("DestinationS3Uri"), *_async_paths(config))):
        yield Need("s3:PutObject", f"arn:aws:s3:::{uri.removeprefix('s3://').rstrip('/')}/2026/one.jsonl")


def _async_paths(config: Any) -> list[str]:
    output = (config.async_inference_config or {}).get("OutputConfig", {})
    return [output[name] for name in ("S3OutputPath", "S3FailurePath") if name in output]


@refused("CreateModel")
def subnets_in_one_zone(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/host-vpc.html"""
    subnets = asked.get("VpcConfig", {}).get("Subnets", [])
    backend = ec2_backends[ACCOUNT][REGION]
    zones = {backend.get_subnet(subnet).availability_zone for subnet in subnets}
    if subnets and len(zones) < 2:
        raise Refusal(f"Subnets in at least two availability zones are needed: {zones}")


@refused("UpdateEndpoint")
def other_variant_names_with_deployment_guardrails(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html"""
    if "DeploymentConfig" not in asked:
        return
    backend = sagemaker_backends[ACCOUNT][REGION]
    present = backend.endpoint_configs[backend.endpoints[asked["EndpointName"]].endpoint_config_name]
    wanted = backend.endpoint_configs[asked["EndpointConfigName"]]
    names = [{one["VariantName"] for one in config.production_variants} for config in (present, wanted)]
    if names[0] != names[1]:
        raise Refusal(f"the variant names must not change with a deployment configuration: {names}")


@refused("UpdateEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities")
def changes_of_an_endpoint_that_changes(asked: dict[str, Any]) -> None:
    """botocore, UpdateEndpoint: "you must not call UpdateEndpoint while the endpoint's status is not InService"."""
    endpoint = sagemaker_backends[ACCOUNT][REGION].endpoints.get(asked["EndpointName"])
    if endpoint and endpoint.endpoint_status in ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"):
        raise Refusal(f"Cannot update in-progress endpoint: its status is {endpoint.endpoint_status}")


@refused("RegisterScalableTarget")
def zero_instances_of_an_endpoint_that_is_not_asynchronous(asked: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html"""
    backend = sagemaker_backends[ACCOUNT][REGION]
    endpoint = backend.endpoints.get(asked["ResourceId"].split("/")[1])
    if endpoint is None:
        raise Refusal("No endpoint found: the target must be registered after the endpoint exists")
    config = backend.endpoint_configs[endpoint.endpoint_config_name]
    if asked["MinCapacity"] == 0 and not config.async_inference_config:
        raise Refusal("Minimum capacity must be at least 1 for an endpoint that is not asynchronous")
