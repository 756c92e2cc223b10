"""The price of an hour that the user gives: one for all instance types, or one for each type."""

import math
import re

from tools.deploy.values.patterns import INSTANCE_TYPE
from tools.remote.instance_prices import with_prefix

_EXAMPLE = "must be a price such as 0.408, or prices such as ml.c7i.2xlarge=0.43,ml.c6i.2xlarge=0.41"


def parse_prices(text: str) -> dict[str, float]:
    """Return the price of each named instance type. The key "" stands for all types.

    Raises: ValueError if the text has another form.
    """
    if "=" not in text:
        return {"": _price(text)}
    prices = {}
    for part in text.split(","):
        instance, _, price = part.strip().partition("=")
        instance = str(with_prefix(instance))
        if not re.match(INSTANCE_TYPE, instance):
            raise ValueError(_EXAMPLE)
        prices[instance] = _price(price)
    return prices


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = 0
    if not 0 < price < math.inf:
        raise ValueError(_EXAMPLE)
    return price
