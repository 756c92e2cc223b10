"""Which values of a configuration fit together. What AWS refuses is refused here, before anything is created."""

import re
from typing import TYPE_CHECKING

from tools.deploy.values.messages import flag
from tools.deploy.values.patterns import IMAGE_URI, INSTANCE_TYPE, WORDS
from tools.deploy.values.prices import parse_prices
from tools.deploy.values.tables import check_overrides

if TYPE_CHECKING:
    from tools.deploy.config import DeploymentConfig

MOST_POOLS = 5  # botocore, InstancePoolList
# Instance types with a disk of their own, such as ml.m5d or ml.c6id. AWS encrypts it with a key of its own, and refuses
# another key: botocore, CreateEndpointConfigInput.KmsKeyId.
_HAS_LOCAL_DISK = re.compile(r"ml\.(\w+\d\w*d\w*|g5\w*)\.")
_WITH_INSTANCES = ("realtime", "async", "batch", "multi-model")
# The modes in which a value has an effect. In the others it would be ignored, so it is refused.
_MODES_OF = {
    "instance": _WITH_INSTANCES,
    "instances": _WITH_INSTANCES,
    "memory_mb": ("serverless",),
    "max_concurrency": ("serverless",),
    "batch_input": ("batch",),
    "batch_output": ("batch",),
}


def check_values(config: "DeploymentConfig") -> None:
    """Check values that depend on each other.

    Raises: ValueError, which says what to change.
    """
    if not config.has_private_registry and not re.match(IMAGE_URI, config.image_uri):
        raise ValueError(f"{flag('image_uri')} {config.image_uri}: {WORDS['image_uri']}")
    _check_effects(config)
    _check_scaling(config)
    _check_mode(config)
    _check_pools(config)
    _check_update(config)
    _check_network_and_key(config)
    check_overrides(config.overrides, [variant.name for variant in config.variants])


def _check_effects(config: "DeploymentConfig") -> None:
    """Refuse values that would be ignored."""
    for field, modes in _MODES_OF.items():
        if field in config.model_fields_set and config.mode not in modes and getattr(config, field) != "":
            raise ValueError(f"{flag(field)} has no effect in {config.mode} mode: leave it out")
    if config.instance_pools and "instance" in config.model_fields_set:
        raise ValueError("--instance-pools replaces --instance: give one of the two")
    if config.alarms and config.mode == "batch":
        raise ValueError("--alarms watch an endpoint, and batch mode has none: leave it out")
    if config.alarm_topic and not config.alarms:
        raise ValueError("--alarm-topic has no effect without --alarms: give both")
    priced = parse_prices(config.dollars_per_hour) if config.dollars_per_hour else {}
    if unused := sorted(set(priced) - {"", *config.instance_types}):
        raise ValueError(
            f"--dollars-per-hour has a price for {', '.join(unused)}, and the instance type is "
            f"{' or '.join(config.instance_types)}: correct one of the two"
        )


def _check_scaling(config: "DeploymentConfig") -> None:
    if config.max_instances < config.instances and config.max_instances != 1:
        raise ValueError("--max-instances must not be less than --instances")
    if config.scale_to_zero and config.mode != "async":
        raise ValueError("only an asynchronous endpoint can scale to zero: give --mode async with --scale-to-zero")
    if config.scales and config.mode in ("serverless", "batch"):
        raise ValueError(f"{config.mode} mode has no instances to scale: leave --max-instances out")
    if config.scales and config.mode == "async" and config.scale_target is None:
        given = "--scale-to-zero" if config.scale_to_zero else "--max-instances"
        raise ValueError(
            f"{given} in async mode needs --scale-target, the number of requests that wait per instance, such as 5"
        )
    if config.scales and config.scale_target is None and config.benchmark is None:
        raise ValueError(
            "--max-instances needs --scale-target, the load that each instance should have, or --benchmark"
        )


def _check_mode(config: "DeploymentConfig") -> None:
    if config.uncompressed and config.mode in ("serverless", "batch", "multi-model"):
        raise ValueError(
            f"SageMaker takes uncompressed artifacts in realtime and async mode, not in {config.mode}: "
            "leave --uncompressed out"
        )
    if config.traffic and config.mode != "realtime":
        raise ValueError("--traffic to several variants needs --mode realtime")
    if config.mode == "batch" and not (config.batch_input and config.batch_output):
        raise ValueError("--mode batch needs --batch-input and --batch-output, such as s3://my-bucket/questions/")


def _check_pools(config: "DeploymentConfig") -> None:
    if not config.instance_pools:
        return
    # https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html
    if config.mode not in ("realtime", "async"):
        raise ValueError(f"SageMaker has --instance-pools in realtime and async mode, not in {config.mode}")
    types = config.instance_types
    if len(set(types)) < len(types) or not 2 <= len(types) <= MOST_POOLS:
        raise ValueError(f"--instance-pools must list two to {MOST_POOLS} different instance types, the best first")
    if wrong := [one for one in types if not re.match(INSTANCE_TYPE, one)]:
        raise ValueError(f"--instance-pools: {', '.join(wrong)} is not an instance type, such as ml.c7i.2xlarge")


def _check_update(config: "DeploymentConfig") -> None:
    # botocore, RollingUpdatePolicy.MaximumBatchSize: at most half of the instances
    if config.rolling and (config.mode not in ("realtime", "async") or config.instances < 2):
        raise ValueError("--rolling needs --mode realtime or async, and --instances 2 or more, of which one half stays")
    # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
    if config.rolling and len(config.variants) > 1:
        raise ValueError("AWS has no rolling update of several variants: leave --rolling or --traffic out")


def _check_network_and_key(config: "DeploymentConfig") -> None:
    if bool(config.subnets) != bool(config.security_groups) or (config.vpc and not config.vpc["SecurityGroupIds"]):
        raise ValueError("a VPC needs both --subnets and --security-groups")
    if config.subnets and len(config.subnet_ids) < 2:
        raise ValueError("--subnets must name at least two subnets in different zones, because SageMaker requires it")
    # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, "Feature exclusions"
    if config.mode == "serverless" and (config.subnets or config.kms_key):
        raise ValueError("serverless endpoints have no VPC and no key: leave --subnets and --kms-key out")
    if config.capture_percent and config.mode != "realtime":
        raise ValueError("SageMaker captures data of realtime endpoints: leave --capture-percent out")
    for instance in config.instance_types:
        if config.kms_key and _HAS_LOCAL_DISK.match(instance):
            raise ValueError(f"{instance} has a local disk, which takes no --kms-key: choose another instance type")
