"""The text about the cost of an hour."""

import httpx
import pytest

from tools.deploy.config import DeploymentConfig
from tools.deploy.hourly_cost import SCRAPE_BYTES, describe_cost


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {},
            "$0.408 an hour while the endpoint exists; one ml.c6i.2xlarge costs $0.408 an hour, the price in us-east-1",
        ),
        ({"traffic": "INT8=90,FP32=10", "instances": 2}, "$1.632 an hour"),
        ({"max_instances": 3, "scale_target": 1}, "$0.408 to $1.224 an hour"),
        (
            {"dollars_per_hour": 2},
            "$2.000 an hour while the endpoint exists; one ml.c6i.2xlarge costs $2 an hour, as given",
        ),
        ({"mode": "batch", "batch_input": "s3://questions/x", "batch_output": "s3://answers/y"}, "while the job runs"),
        ({"mode": "serverless"}, "AWS bills the milliseconds and bytes of each request"),
        ({"instance": "ml.x9.huge"}, "no price is known for ml.x9.huge: give --dollars-per-hour"),
        (
            {"instance_pools": "ml.c7i.xlarge,ml.c6i.xlarge", "instances": 2},
            "$0.408 to $0.420 an hour while the endpoint exists; one ml.c7i.xlarge costs $0.21 an hour, "
            "one ml.c6i.xlarge costs $0.204 an hour, the price in us-east-1",
        ),
        (
            {"instance_pools": "ml.c7i.xlarge,ml.x9.huge"},
            "no price is known for ml.x9.huge: give --dollars-per-hour ml.x9.huge=PRICE; one ml.c7i.xlarge costs $0.21 "
            "an hour, one ml.x9.huge costs an unknown price, the price in us-east-1",
        ),
        (
            {"instance_pools": "ml.c7i.xlarge,ml.x9.huge", "dollars_per_hour": "ml.x9.huge=0.5"},
            "$0.210 to $0.500 an hour while the endpoint exists; one ml.c7i.xlarge costs $0.21 an hour, "
            "one ml.x9.huge costs $0.5 an hour, as given with --dollars-per-hour, otherwise the price in us-east-1",
        ),
        (
            {"instance_pools": "ml.c7i.xlarge,ml.x9.huge", "dollars_per_hour": "ml.c7i.xlarge=0.3,ml.x9.huge=0.5"},
            "one ml.x9.huge costs $0.5 an hour, as given with --dollars-per-hour",
        ),
        ({"detailed_observability": True}, "$0.50 for each GB of metrics, as of 2026-11: about $0.43 a month for each"),
    ],
)
def test_the_text_names_what_an_hour_costs(values: dict[str, object], text: str) -> None:
    assert text in describe_cost(DeploymentConfig.model_validate(values))


def test_the_estimate_for_metrics_has_the_size_of_those_of_a_server(client: httpx.Client) -> None:
    # A server that has answered in every form and with every status has more series than one that has just started.
    assert SCRAPE_BYTES / 2 < len(client.get("/metrics").content) < SCRAPE_BYTES * 4
