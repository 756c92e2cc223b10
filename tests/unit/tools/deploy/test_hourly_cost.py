"""The text about the cost of an hour."""

import pytest

from tools.deploy.config import DeploymentConfig
from tools.deploy.hourly_cost import describe_cost


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
        ({"mode": "batch", "batch_input": "s3://in/x", "batch_output": "s3://out/y"}, "while the job runs"),
        ({"mode": "serverless"}, "AWS bills the milliseconds and bytes of each request"),
        ({"instance": "ml.x9.huge"}, "no price is known for ml.x9.huge: give --dollars-per-hour"),
    ],
)
def test_the_text_names_what_an_hour_costs(values: dict[str, object], text: str) -> None:
    assert text in describe_cost(DeploymentConfig.model_validate(values))
