"""AWS's own prices, from its Price List API.

The names of the attributes and of the usage types are those of AWS's public price list of SageMaker. The API asks for
the permission pricing:GetProducts, and knows the prices of every region.
"""

import json
from collections.abc import Mapping
from typing import Any

from tools.remote.aws import Aws, AwsError
from tools.remote.instance_prices import Price, with_prefix

HOSTING = "Host"  # real-time and asynchronous endpoints
BATCH = "Tsform"  # batch transform


def find_price(aws: Aws, instance: str, usage: str = HOSTING) -> Price | None:
    """Return AWS's on-demand price of an instance type for an hour, in the region of `aws`.

    Args:
        aws: the account.
        instance: the instance type, such as ml.c6i.2xlarge.
        usage: HOSTING or BATCH.

    Returns: None if the list cannot be read, for example without the permission, or does not have the type.
    """
    instance = str(with_prefix(instance))
    wanted = {"regionCode": aws.region, "instanceName": instance}
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        products = list(
            aws.list_all("pricing", "GetProducts", "PriceList", ServiceCode="AmazonSageMaker", Filters=filters)
        )
    except AwsError:
        return None
    for text in products:
        product = json.loads(text)
        name = str(product["product"]["attributes"].get("usagetype", ""))
        # A region's code stands before the usage, as in USE1-Host:ml.c6i.2xlarge. Not in every region.
        if name.rpartition("-")[2] == f"{usage}:{instance}" and (dollars := _dollars_per_hour(product)):
            return Price(
                instance, dollars, "AWS's Price List API", region=aws.region, date=product["publicationDate"][:10]
            )
    return None


def _dollars_per_hour(product: Mapping[str, Any]) -> float:
    """Return the on-demand price of a product in dollars, or 0 if it has none by the hour."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"].lower() == "hrs" and (dollars := float(dimension["pricePerUnit"].get("USD", 0))):
                return dollars
    return 0
