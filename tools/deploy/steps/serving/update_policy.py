"""How AWS moves an endpoint to a new configuration: all instances beside the old ones, or some after the other."""

from typing import Any

from tools.deploy.config import DeploymentConfig
from tools.deploy.names import Names

WATCH_SECONDS = 300  # How long the alarms watch an update before AWS terminates the old instances.
ROLLING_PERCENT = 50  # The largest batch that AWS allows; the smallest number of steps.


def update_policy(config: DeploymentConfig, names: Names) -> dict[str, Any]:
    """Return UpdateEndpoint's DeploymentConfig, or {} for AWS's default: all instances beside the old ones at once."""
    if config.mode == "serverless":
        return {}
    policy: dict[str, Any] = {}
    if config.rolling:
        policy["RollingUpdatePolicy"] = {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": ROLLING_PERCENT},
            "WaitIntervalInSeconds": WATCH_SECONDS if config.rollback_alarm else 0,
        }
    elif config.rollback_alarm:
        policy["BlueGreenUpdatePolicy"] = {
            "TrafficRoutingConfiguration": _routing(config),
            "TerminationWaitInSeconds": WATCH_SECONDS,
        }
    if config.rollback_alarm:
        alarms = [{"AlarmName": names.alarm(variant)} for variant in config.variants]
        policy["AutoRollbackConfiguration"] = {"Alarms": alarms}
    return policy


def _routing(config: DeploymentConfig) -> dict[str, Any]:
    if config.instances == 1:  # A single instance has no tenth. The old one is kept equally long.
        return {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    size = {"Type": "CAPACITY_PERCENT", "Value": 10}
    return {"Type": "CANARY", "WaitIntervalInSeconds": WATCH_SECONDS, "CanarySize": size}


def further_instances(config: DeploymentConfig) -> int:
    """Return how many instances an update needs in addition to those that run, for quotas and prices.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
    """
    if config.mode == "serverless":
        return 0
    share = ROLLING_PERCENT / 100 if config.rolling else 1
    return max(1, int(config.instances * share)) * len(config.variants)
