"""Instance pools: several instance types for one variant, of which AWS takes the first that it has."""

from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from tests.aws.aws_account import REGION, SCALED, Recorder, inventory, make_deployment, remove_all
from tools.deploy import commands
from tools.deploy.doctor.quotas import check_quotas
from tools.errors import ToolError
from tools.remote.client import EndpointClient

POOLS = "ml.c7i.2xlarge, ml.c6i.xlarge"


@pytest.mark.usefixtures("account")
def test_every_variant_has_the_pools_and_the_endpoint_answers(artifact: Path) -> None:
    recorder, lines = Recorder(), list[str]()
    traffic = "INT8=90,FP32=10"
    deployment = make_deployment(artifact, recorder.session, lines, instance_pools=POOLS, traffic=traffic)
    commands.up(deployment)
    (request,) = recorder.sent("CreateEndpointConfig")
    for variant in request["ProductionVariants"]:
        assert "InstanceType" not in variant
        assert variant["InstancePools"] == [
            {"InstanceType": "ml.c7i.2xlarge", "Priority": 1},
            {"InstanceType": "ml.c6i.xlarge", "Priority": 2},
        ]
    assert any("Zoë Müller" in line for line in lines)
    hardware = EndpointClient("bert-qa", aws=deployment.aws).configuration()
    assert hardware
    assert hardware.variants == {name: ("ml.c7i.2xlarge,ml.c6i.xlarge", 1) for name in ("INT8", "FP32")}
    assert {change for _, change in commands.planned_changes(deployment)} == {None, "ask the endpoint one question"}
    remove_all(deployment)
    assert inventory()["endpoints"] == []


@pytest.mark.usefixtures("account")
def test_an_endpoint_that_scales_moves_from_one_type_to_pools_and_to_other_pools(artifact: Path) -> None:
    commands.up(make_deployment(artifact, **SCALED))
    for pools in (POOLS, "ml.c6i.xlarge,ml.c7i.2xlarge"):
        update = make_deployment(artifact, **SCALED, instance_pools=pools)
        changes = dict(commands.planned_changes(update))
        assert "1 more ml.c" in str(changes["endpoint"])
        assert " or ml.c" in str(changes["endpoint"])
        commands.up(update)
        assert inventory()["targets"] == ["endpoint/bert-qa/variant/AllTraffic"]
    remove_all(update)


@pytest.mark.usefixtures("account")
def test_an_asynchronous_endpoint_gets_what_the_smallest_type_can_hold(artifact: Path) -> None:
    recorder = Recorder()
    commands.up(make_deployment(artifact, recorder.session, mode="async", instance_pools=POOLS))
    (request,) = recorder.sent("CreateEndpointConfig")
    # ml.c6i.xlarge has two cores, ml.c7i.2xlarge has four.
    assert request["AsyncInferenceConfig"]["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 2}


@pytest.mark.usefixtures("account")
def test_a_type_that_sagemaker_does_not_have_is_refused_before_anything_is_created(artifact: Path) -> None:
    before = inventory()
    with pytest.raises(ToolError, match="no ml.c7i.3xlarge in realtime mode.*--instance-pools"):
        commands.up(make_deployment(artifact, instance_pools="ml.c6i.xlarge,ml.c7i.3xlarge"))
    assert inventory() == before


@pytest.mark.usefixtures("account")
def test_the_quota_of_each_type_must_be_enough(artifact: Path) -> None:
    session = boto3.Session(region_name=REGION)
    quotas = [{"QuotaName": f"{one} for endpoint usage", "Value": value} for one, value in QUOTAS.items()]
    answer = SimpleNamespace(status_code=200), {"Quotas": quotas}
    session.events.register("before-call.service-quotas.ListServiceQuotas", lambda **_: answer)
    finding = check_quotas(make_deployment(artifact, session, instance_pools=POOLS))
    assert (finding.result, "ml.c6i.xlarge for endpoint usage: your account has 1 and needs 2" in finding.text) == (
        "fails",
        True,
    )


QUOTAS = {"ml.c7i.2xlarge": 8.0, "ml.c6i.xlarge": 1.0}
