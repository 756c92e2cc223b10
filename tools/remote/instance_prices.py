"""Default prices of SageMaker instances for an hour, and the price of a million queries.

Prices change over time and differ by region. Users can replace the defaults in this table with the price that they pay.
"""

import re
from dataclasses import dataclass

from tools.errors import ToolError

DATE = "2026-11"
REGION = "us-east-1"
_EC2_TYPE = re.compile(r"(?!ml\.)[a-z][a-z0-9-]*\.[a-z0-9-]+")
DEFAULT_INSTANCE = "ml.c6i.2xlarge"  # the instance type of the article

# AWS publishes the current prices at https://aws.amazon.com/sagemaker/pricing/
_COPIES = "several public copies of the price list, from 2024 to 2026, which agree"
_ONE_COPY = "one public copy of the price list"
# In the article, price per query times rate gives $0.41 to $0.42 an hour in every row, on c5 and on c6i.
_ARTICLE = "the article: ml.c6i.2xlarge costs as much an hour as ml.c5.2xlarge"
_ROUNDED = "github.com/SuperCowPowers/workbench, model_utils.py, hosting in us-east-1, rounded to cents"


@dataclass(frozen=True)
class Price:
    """The on-demand price of one instance for an hour, and the number of instances.

    `instance` is None if the user gave the price.
    """

    instance: str | None
    dollars_per_hour: float
    source: str
    instances: int = 1
    region: str = REGION
    date: str = DATE

    @property
    def total_dollars_per_hour(self) -> float:
        """The price of all instances for an hour."""
        return self.dollars_per_hour * self.instances

    def __str__(self) -> str:
        number = f", {self.instances} instances" if self.instances > 1 else ""
        if self.instance is None:
            return f"${self.dollars_per_hour:g} an hour, as given{number}"
        return f"${self.dollars_per_hour:g} an hour, {self.instance} in {self.region} as of {self.date}{number}"


# Prices of SageMaker real-time hosting in us-east-1. Instance types without a reliable source are left out.
PRICES = {
    instance: Price(instance, dollars_per_hour, source)
    for instance, dollars_per_hour, source in (
        ("ml.c5.large", 0.102, _COPIES),
        ("ml.c5.xlarge", 0.204, _COPIES),
        ("ml.c5.2xlarge", 0.408, _COPIES),
        ("ml.c5.4xlarge", 0.816, _COPIES),
        ("ml.c6i.large", 0.102, _ONE_COPY),
        ("ml.c6i.xlarge", 0.204, _ONE_COPY),
        ("ml.c6i.2xlarge", 0.408, _ARTICLE),
        ("ml.c7i.large", 0.11, _ROUNDED),
        ("ml.c7i.xlarge", 0.21, _ROUNDED),
        ("ml.m5.large", 0.115, _COPIES),
        ("ml.m5.xlarge", 0.23, _COPIES),
        ("ml.m5.2xlarge", 0.461, _COPIES),
        ("ml.m5.4xlarge", 0.922, _COPIES),
        ("ml.m7i.large", 0.12, _ROUNDED),
    )
}


def with_prefix(given: object) -> object:
    """Put `ml.` before each instance type of a list that lacks it. Anything else is returned as it is.

    EC2 has c6i.2xlarge, and SageMaker's name for it is ml.c6i.2xlarge.
    """
    if not isinstance(given, str):
        return given
    parts = [part.strip() for part in given.split(",")]
    return ",".join(f"ml.{part}" if _EC2_TYPE.fullmatch(part) else part for part in parts)


def price_of(instance: str) -> Price:
    """Return the default price of an instance type.

    Raises: ToolError if the table does not have the instance type.
    """
    try:
        return PRICES[str(with_prefix(instance))]
    except KeyError:
        raise ToolError(
            f"no price is known for {instance}: give it with --dollars-per-hour. Known types: {', '.join(PRICES)}"
        ) from None


def physical_cores(instance: str) -> int:
    """Return the number of physical cores of an instance type, or 0 if its size is unknown.

    ml.c6i.2xlarge has 8 vCPUs, which are the hyper-threads of 4 cores.
    """
    size = instance.rpartition(".")[2]
    factor = size.removesuffix("xlarge") or "1"
    if size == "large":
        return 1
    return 2 * int(factor) if size.endswith("xlarge") and factor.isdigit() else 0


def dollars_per_million(dollars_per_hour: float, queries_per_second: float) -> float:
    """Return the price of a million queries on an instance that answers `queries_per_second` without a pause."""
    return dollars_per_hour / 3600 / queries_per_second * 1e6
