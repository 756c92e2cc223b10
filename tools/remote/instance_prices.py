"""What an hour of an instance costs by default, and what a million queries cost then.

Prices change and differ by region: the table is a default to be overridden with the price that you pay.
"""

from dataclasses import dataclass

from tools.errors import ToolError

DATE = "2026-11"
REGION = "us-east-1"
DEFAULT_INSTANCE = "ml.c6i.2xlarge"  # the article's

# The list itself, which no table can replace: https://aws.amazon.com/sagemaker/pricing/
_COPIES = "several public copies of the price list, of 2024 to 2026, that agree"
_ONE_COPY = "one public copy of the price list"
# Cost times rate of its rows are within 2 % of each other, $0.41 to $0.42 an hour on c5 and on c6i alike.
_ARTICLE = "the article: an hour of it costs as much as one of ml.c5.2xlarge"
_ROUNDED = "github.com/SuperCowPowers/workbench, model_utils.py, hosting in us-east-1, rounded to cents there"


@dataclass(frozen=True)
class Price:
    """Dollars for an hour of one instance, on demand, and how many there are.

    instance is None for a price that the user gave.
    """

    instance: str | None
    dollars_per_hour: float
    source: str
    instances: int = 1

    @property
    def total_dollars_per_hour(self) -> float:
        """Of all instances."""
        return self.dollars_per_hour * self.instances

    def __str__(self) -> str:
        number = f", {self.instances} instances" if self.instances > 1 else ""
        if self.instance is None:
            return f"${self.dollars_per_hour:g} an hour, as given{number}"
        return f"${self.dollars_per_hour:g} an hour, {self.instance} in {REGION} as of {DATE}{number}"


# SageMaker real-time hosting in us-east-1. Sizes and families without a source that holds are left out.
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


def price_of(instance: str) -> Price:
    """The default price of an instance type.

    Raises: ToolError for a type that the table lacks.
    """
    try:
        return PRICES[instance]
    except KeyError:
        raise ToolError(
            f"no price is known for {instance}: give it with --dollars-per-hour. Known are {', '.join(PRICES)}"
        ) from None


def physical_cores(instance: str) -> int:
    """Of an instance type, by its size: ml.c6i.2xlarge has 8 vCPUs, hyper-threads of 4 cores; 0 if unknown."""
    size = instance.rpartition(".")[2]
    factor = size.removesuffix("xlarge") or "1"
    if size == "large":
        return 1
    return 2 * int(factor) if size.endswith("xlarge") and factor.isdigit() else 0


def dollars_per_million(dollars_per_hour: float, queries_per_second: float) -> float:
    """What a million queries cost on an instance that answers so many a second, all the time."""
    return dollars_per_hour / 3600 / queries_per_second * 1e6
