"""Which values of a configuration fit together. What AWS refuses is refused here, before anything is created."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.deploy.config import DeploymentConfig

INSTANCE_TYPE = r"^ml\.[a-z0-9-]+\.[a-z0-9]+$"
MOST_POOLS = 5  # botocore, InstancePoolList
# Instance types with a disk of their own, such as ml.m5d or ml.c6id. AWS encrypts it with a key of its own, and refuses
# another key: botocore, CreateEndpointConfigInput.KmsKeyId.
_HAS_LOCAL_DISK = re.compile(r"ml\.(\w+\d\w*d\w*|g5\w*)\.")


def check_values(config: "DeploymentConfig") -> None:
    """Check values that depend on each other.

    Raises: ValueError, which says what to change.
    """
    _check_scaling(config)
    _check_mode(config)
    _check_pools(config)
    _check_update(config)
    _check_network_and_key(config)


def _check_scaling(config: "DeploymentConfig") -> None:
    if config.max_instances < config.instances and config.max_instances != 1:
        raise ValueError("max_instances must not be less than instances")
    if config.scale_to_zero and config.mode != "async":
        raise ValueError("only an asynchronous endpoint can scale to zero: set mode to async")
    if config.scales and config.mode in ("serverless", "batch"):
        raise ValueError(f"{config.mode} mode has no instances to scale: leave max_instances at 1")
    if config.scales and config.scale_target is None and config.benchmark is None:
        raise ValueError("max_instances needs scale_target, or a benchmark that gives it")
    if config.scales and config.mode == "async" and config.scale_target is None:
        raise ValueError("async mode scales by the requests that wait per instance: set scale_target, such as 5")


def _check_mode(config: "DeploymentConfig") -> None:
    if config.uncompressed and config.mode in ("serverless", "batch", "multi-model"):
        raise ValueError(f"SageMaker takes uncompressed artifacts in realtime and async mode, not in {config.mode}")
    if config.traffic and config.mode != "realtime":
        raise ValueError("traffic to several variants needs realtime mode")
    if config.mode == "batch" and not (config.batch_input and config.batch_output):
        raise ValueError("batch mode needs batch_input and batch_output")


def _check_pools(config: "DeploymentConfig") -> None:
    if not config.instance_pools:
        return
    # https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html
    if config.mode not in ("realtime", "async"):
        raise ValueError(f"SageMaker has instance pools in realtime and async mode, not in {config.mode}")
    types = config.instance_types
    if len(set(types)) < len(types) or not 2 <= len(types) <= MOST_POOLS:
        raise ValueError(f"instance_pools must list two to {MOST_POOLS} different instance types, the best first")
    if wrong := [one for one in types if not re.match(INSTANCE_TYPE, one)]:
        raise ValueError(f"instance_pools: {', '.join(wrong)} is not an instance type, such as ml.c7i.2xlarge")


def _check_update(config: "DeploymentConfig") -> None:
    # botocore, RollingUpdatePolicy.MaximumBatchSize: at most half of the instances
    if config.rolling and (config.mode != "realtime" or config.instances < 2):
        raise ValueError("rolling updates need realtime mode and two instances or more, of which one half stays")


def _check_network_and_key(config: "DeploymentConfig") -> None:
    if bool(config.subnets) != bool(config.security_groups):
        raise ValueError("a VPC needs both subnets and security_groups")
    if config.subnets and len(config.subnet_ids) < 2:
        raise ValueError("subnets must name at least two subnets in different zones, because SageMaker requires it")
    # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, "Feature exclusions"
    if config.mode == "serverless" and (config.subnets or config.kms_key):
        raise ValueError("serverless endpoints have no VPC and no key: leave subnets and kms_key out")
    if config.capture_percent and config.mode != "realtime":
        raise ValueError("SageMaker captures data of realtime endpoints: leave capture_percent at 0")
    for instance in config.instance_types:
        if config.kms_key and _HAS_LOCAL_DISK.match(instance):
            raise ValueError(f"{instance} has a local disk, which takes no kms_key: choose another instance type")
