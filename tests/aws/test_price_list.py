"""Prices from AWS's Price List API, which moto lacks: a peer on a real socket answers in the API's format."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.aws import scripted_aws
from tests.aws.aws_account import REGION
from tools.benchmark.hardware import choose_price
from tools.deploy.config import DeploymentConfig
from tools.deploy.hourly_cost import describe_cost
from tools.remote.aws import Aws
from tools.remote.client import EndpointClient
from tools.remote.instance_prices import price_of
from tools.remote.price_list import BATCH, find_price

INSTANCE = "ml.c7i.2xlarge"  # the table of default prices does not have it
# The usage types of one instance type, each with its price. AWS lists all of them under the same instance name.
USAGES = {"Notebk": "0.1", "Train": "0.2", "Host": "0.4284", "Tsform": "0.5", "Host-Savings": "0.3"}


def product(usage: str, dollars: str, instance: str, unit: str = "Hrs") -> str:
    """One entry of the price list, with the fields that AWS sends."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": dollars}, "description": f"${dollars} per Hour", "rateCode": "x"}
    return json.dumps(
        {
            "product": {
                "productFamily": "ML Instance",
                "sku": usage,
                "attributes": {
                    "servicecode": "AmazonSageMaker",
                    "regionCode": REGION,
                    "instanceName": instance,
                    "usagetype": f"EUC1-{usage}:{instance}",
                },
            },
            "serviceCode": "AmazonSageMaker",
            "terms": {"OnDemand": {"a.b": {"priceDimensions": {"a.b.c": dimension}}}},
            "publicationDate": "2026-11-20T12:00:00Z",
        }
    )


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer in two pages, as AWS does with long lists."""
    wanted = {each["Field"]: each["Value"] for each in asked["Filters"]}
    if wanted["regionCode"] != REGION or wanted["instanceName"] != INSTANCE:
        return {"FormatVersion": "aws_v1", "PriceList": []}
    found = [product(usage, dollars, INSTANCE) for usage, dollars in USAGES.items()]
    if "NextToken" in asked:
        return {"FormatVersion": "aws_v1", "PriceList": found[2:]}
    return {"FormatVersion": "aws_v1", "PriceList": found[:2], "NextToken": "2"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with scripted_aws.running({"GetProducts": answer}) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield Aws(REGION, session=boto3.Session(region_name=REGION))


def test_the_price_is_that_of_the_use_and_of_the_region(aws: Aws) -> None:
    hosting, batch = find_price(aws, INSTANCE), find_price(aws, INSTANCE.removeprefix("ml."), BATCH)
    assert hosting is not None
    assert batch is not None
    assert (hosting.dollars_per_hour, batch.dollars_per_hour) == (0.4284, 0.5)
    assert str(hosting) == f"$0.4284 an hour, {INSTANCE} in {REGION} as of 2026-11-20"
    assert find_price(aws, "ml.c6i.2xlarge") is None


def test_plan_shows_the_price_of_the_list_and_the_table_for_other_types(aws: Aws) -> None:
    config = DeploymentConfig.model_validate({"instance_pools": f"{INSTANCE},ml.c6i.2xlarge", "instances": 1})
    text = describe_cost(config, aws)
    assert text.startswith("$0.408 to $0.428 an hour while the endpoint exists; one ml.c7i.2xlarge costs $0.4284")
    assert f"the price in {REGION} as of 2026-11-20 (AWS's Price List API)" in text
    assert "the price in us-east-1 as of 2026-11" in text


def test_the_price_that_the_user_gives_replaces_that_of_the_list(aws: Aws) -> None:
    config = DeploymentConfig.model_validate({"instance": INSTANCE, "dollars_per_hour": 0.3})
    assert "$0.300 an hour" in describe_cost(config, aws)
    assert "Price List" not in describe_cost(config, aws)


def test_the_benchmark_takes_the_price_of_its_endpoint(aws: Aws) -> None:
    given = argparse.Namespace(dollars_per_hour=None, instance=None)
    info = {"endpoint": {"instance_type": INSTANCE, "instances": 2}}
    price = choose_price(given, info, EndpointClient("bert-qa", aws=aws).price_of)
    assert price.total_dollars_per_hour == 2 * 0.4284


def test_without_the_permission_the_table_counts(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_aws.running({}) as (url, received):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        denied = Aws(REGION, session=boto3.Session(region_name=REGION))
        assert find_price(denied, "ml.c6i.2xlarge") is None
        assert received == ["GetProducts"]  # it is not sent again
        text = describe_cost(DeploymentConfig.model_validate({"instance": "ml.c6i.2xlarge"}), denied)
    assert f"${price_of('ml.c6i.2xlarge').dollars_per_hour:.3f} an hour" in text
