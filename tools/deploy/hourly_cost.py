"""Describe the price of an hour of a deployment."""

from collections.abc import Sequence

from tools.deploy.config import DeploymentConfig
from tools.deploy.values.prices import parse_prices
from tools.remote.aws import Aws
from tools.remote.instance_prices import DATE, PRICES, Price
from tools.remote.price_list import BATCH, HOSTING, find_price

OBSERVABILITY_DOLLARS_PER_GB = 0.50  # https://aws.amazon.com/cloudwatch/pricing/, OpenTelemetry metrics, as of DATE
# AWS reads /metrics once a minute: botocore, MetricsConfig. The size is that of a server that has answered questions in
# two precisions; test_hourly_cost.py compares it with a running server.
SCRAPES_PER_MONTH = 60 * 24 * 30
SCRAPE_BYTES = 20_000


def describe_cost(config: DeploymentConfig, aws: Aws | None = None) -> str:
    """Return a text about the price of an hour.

    The price of each instance type is the configured one, or that of AWS's price list if `aws` is given and may read
    the list, or that of the table of default prices.
    """
    if config.mode == "serverless":
        return "AWS bills the milliseconds and bytes of each request (https://aws.amazon.com/sagemaker/pricing/)"
    prices = {one: _price(config, one, aws) for one in config.instance_types}
    each = ", ".join(
        f"one {one} costs {'an unknown price' if price is None else f'${price.dollars_per_hour:g} an hour'}"
        for one, price in prices.items()
    )
    source = _sources([price for price in prices.values() if price is not None])
    if unknown := [one for one, price in prices.items() if price is None]:
        example = f"--dollars-per-hour {','.join(f'{one}=PRICE' for one in unknown)}"
        beside = f"; {each}, {source}" if len(unknown) < len(prices) else ""
        return f"no price is known for {', '.join(unknown)}: give {example}{beside}"
    known = [price.dollars_per_hour for price in prices.values() if price is not None]
    variants = len(config.variants)
    least = min(known) * config.fewest_instances * variants
    most = max(known) * max(config.fewest_instances, config.max_instances) * variants
    amount = f"${least:.3f}" if least == most else f"${least:.3f} to ${most:.3f}"
    duration = "the endpoint exists" if config.has_endpoint else "the job runs"
    return f"{amount} an hour while {duration}; {each}, {source}{_observability(config)}"


def _price(config: DeploymentConfig, instance: str, aws: Aws | None) -> Price | None:
    given = parse_prices(config.dollars_per_hour) if config.dollars_per_hour else {}
    if dollars := given.get(instance) or given.get(""):
        return Price(None, dollars, "the user")
    found = find_price(aws, instance, HOSTING if config.has_endpoint else BATCH) if aws else None
    return found or PRICES.get(instance)


def _sources(prices: Sequence[Price]) -> str:
    """Say where the prices come from. Prices of the user come first."""
    listed = " and ".join(
        sorted({f"the price in {one.region} as of {one.date}{_list_of(one)}" for one in prices if one.instance})
    )
    if all(price.instance for price in prices):
        return listed
    return f"as given with --dollars-per-hour{f', otherwise {listed}' if listed else ''}"


def _list_of(price: Price) -> str:
    return "" if price.instance in PRICES and PRICES[price.instance] == price else f" ({price.source})"


def _observability(config: DeploymentConfig) -> str:
    """Return an estimate of what AWS bills for the metrics of the server. Nobody has compared it with a bill."""
    if not config.detailed_observability:
        return ""
    gigabytes = SCRAPES_PER_MONTH * SCRAPE_BYTES / 1e9
    return (
        f". Detailed observability costs ${OBSERVABILITY_DOLLARS_PER_GB:.2f} for each GB of metrics, as of {DATE}: "
        f"about ${gigabytes * OBSERVABILITY_DOLLARS_PER_GB:.2f} a month for each instance, if AWS counts the "
        f"{SCRAPE_BYTES / 1000:.0f} KB that the server sends once a minute. What AWS adds of its own is not included"
    )
