"""Describe the price of an hour of a deployment."""

from tools.deploy.config import DeploymentConfig
from tools.deploy.values.prices import parse_prices
from tools.remote.instance_prices import DATE, PRICES, REGION

OBSERVABILITY_DOLLARS_PER_GB = 0.50  # https://aws.amazon.com/cloudwatch/pricing/, OpenTelemetry metrics, as of DATE
# AWS reads /metrics once a minute: botocore, MetricsConfig. The size is that of a server that has answered questions in
# two precisions; test_hourly_cost.py compares it with a running server.
SCRAPES_PER_MONTH = 60 * 24 * 30
SCRAPE_BYTES = 20_000


def describe_cost(config: DeploymentConfig) -> str:
    """Return a text about the price of an hour, from the configured price or from the table of default prices."""
    if config.mode == "serverless":
        return "AWS bills the milliseconds and bytes of each request (https://aws.amazon.com/sagemaker/pricing/)"
    given = parse_prices(config.dollars_per_hour) if config.dollars_per_hour else {}
    prices = {one: given.get(one) or given.get("") or _known_price(one) for one in config.instance_types}
    each = ", ".join(
        f"one {one} costs {'an unknown price' if price is None else f'${price:g} an hour'}"
        for one, price in prices.items()
    )
    is_given = [one in given or "" in given for one in prices]
    table = f"the price in {REGION} as of {DATE}"
    source = "as given with --dollars-per-hour" if all(is_given) else table
    if any(is_given) and not all(is_given):
        source = f"as given with --dollars-per-hour, otherwise {table}"
    if unknown := [one for one, price in prices.items() if price is None]:
        example = f"--dollars-per-hour {','.join(f'{one}=PRICE' for one in unknown)}"
        beside = f"; {each}, {source}" if len(unknown) < len(prices) else ""
        return f"no price is known for {', '.join(unknown)}: give {example}{beside}"
    known = [price for price in prices.values() if price is not None]
    variants = len(config.variants)
    least = min(known) * config.fewest_instances * variants
    most = max(known) * max(config.fewest_instances, config.max_instances) * variants
    amount = f"${least:.3f}" if least == most else f"${least:.3f} to ${most:.3f}"
    duration = "the endpoint exists" if config.has_endpoint else "the job runs"
    return f"{amount} an hour while {duration}; {each}, {source}{_observability(config)}"


def _known_price(instance: str) -> float | None:
    return PRICES[instance].dollars_per_hour if instance in PRICES else None


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
