"""The default prices of instances, and the cost of a million queries."""

import pytest

from tools.errors import ToolError
from tools.remote.instance_prices import DEFAULT_INSTANCE, PRICES, dollars_per_million, physical_cores, price_of


def test_a_million_queries_cost_as_much_as_in_the_article() -> None:
    for per_second, dollars in ((11.5, 10.2), (13, 9.0), (25.56, 4.5)):
        assert dollars_per_million(price_of("ml.c6i.2xlarge").dollars_per_hour, per_second) == pytest.approx(
            dollars, rel=0.04
        )
    assert dollars_per_million(3.6, 1) == pytest.approx(1000)


def test_every_price_has_a_source_and_grows_with_the_size_of_the_instance() -> None:
    for instance, price in PRICES.items():
        assert price_of(instance) == price
        assert price.source
    assert price_of("ml.c5.4xlarge").dollars_per_hour == 8 * price_of("ml.c5.large").dollars_per_hour
    assert DEFAULT_INSTANCE in PRICES


def test_the_error_for_an_unknown_instance_type_says_what_to_do() -> None:
    with pytest.raises(ToolError, match=r"no price is known for ml\.x9\.huge.*--dollars-per-hour.*ml\.c6i\.2xlarge"):
        price_of("ml.x9.huge")


def test_the_size_of_an_instance_gives_its_physical_cores() -> None:
    sizes = {"ml.c6i.large": 1, "ml.c6i.xlarge": 2, "ml.c6i.2xlarge": 4, "ml.c5.18xlarge": 36, "ml.c7i.metal": 0, "": 0}
    assert {size: physical_cores(size) for size in sizes} == sizes
