"""Describe the price of an hour of a deployment."""

from tools.deploy.config import DeploymentConfig
from tools.remote.instance_prices import DATE, PRICES, REGION


def describe_cost(config: DeploymentConfig) -> str:
    """Return a text about the price of an hour, from the configured price or from the table of default prices."""
    if config.mode == "serverless":
        return "AWS bills the milliseconds and bytes of each request (https://aws.amazon.com/sagemaker/pricing/)"
    price = config.dollars_per_hour
    source = "as given with --dollars-per-hour"
    if price is None:
        if config.instance not in PRICES:
            return f"no price is known for {config.instance}: give --dollars-per-hour"
        price = PRICES[config.instance].dollars_per_hour
        source = f"the price in {REGION} as of {DATE}"
    variants = len(config.variants)
    amount = f"${price * config.instances * variants:.3f}"
    if config.scales:
        amount += f" to ${price * config.max_instances * variants:.3f}"
    duration = "the endpoint exists" if config.has_endpoint else "the job runs"
    return f"{amount} an hour while {duration}; one {config.instance} costs ${price:g} an hour, {source}"
