"""The configuration of a deployment: the example file is valid, and invalid values are named."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools.deploy.config import TABLES, DeploymentConfig, example_config, read_config
from tools.errors import ToolError
from tools.remote.instance_prices import price_of

ROOT = Path(__file__).parents[4]
KEYS = "arn:aws:kms:eu-west-1:111122223333:key"


def test_every_line_of_the_example_may_be_uncommented() -> None:
    text = re.sub(r"^# (\[|\w+ = )", r"\1", example_config(), flags=re.MULTILINE)
    values = tomllib.loads(text)
    assert set(values) == set(DeploymentConfig.model_fields)
    for name, field in DeploymentConfig.model_fields.items():
        if name not in TABLES and field.default is not None:
            assert values[name] == (str(field.default) if isinstance(field.default, Path) else field.default), name


def test_flags_override_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deploy.toml"
    path.write_text('name = "mine"\ninstances = 2\n')
    config = read_config(path, {"instances": "3"})
    assert (config.name, config.instances) == ("mine", 3)


def test_instance_types_may_be_written_without_ml() -> None:
    config = read_config(None, {"instance_pools": "c7i.xlarge, ml.c6i.xlarge", "dollars_per_hour": "c7i.xlarge=0.2"})
    assert config.instance_types == ["ml.c7i.xlarge", "ml.c6i.xlarge"]
    assert read_config(None, {"instance": "c6i.2xlarge"}).instance == "ml.c6i.2xlarge"
    assert price_of("c5.xlarge") == price_of("ml.c5.xlarge")


def test_a_mode_that_does_not_exist_is_answered_with_the_modes() -> None:
    command = [sys.executable, "-m", "tools.deploy", "plan", "--mode", "batches"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    for mode in ("realtime", "async", "serverless", "batch", "multi-model"):
        assert mode in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "Bert"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"traffic": "INT8"}, "INT8=90,FP32=10"),
        ({"traffic": "INT8=1,int8=2"}, "twice"),
        ({"max_instances": 3}, "--max-instances needs --scale-target"),
        ({"mode": "serverless", "max_instances": 3, "scale_target": 1}, "no instances to scale"),
        ({"mode": "async", "max_instances": 3, "benchmark": "x.json"}, "requests that wait per instance"),
        ({"mode": "batch"}, "--batch-input"),
        ({"traffic": "INT8=0,FP32=0"}, "at least one precision a share of more than 0"),
        ({"subnets": "a,b", "security_groups": ","}, "both --subnets and --security-groups"),
        (
            {"dollars_per_hour": "ml.c7i.xlarge=0.2"},
            "a price for ml.c7i.xlarge, and the instance type is ml.c6i.2xlarge",
        ),
        ({"rolling": True, "instances": 2, "traffic": "INT8=90,FP32=10"}, "no rolling update of several variants"),
        ({"rolling": True, "instances": 2, "mode": "multi-model"}, "--rolling needs --mode realtime or async"),
        ({"tags": {"bert-qa:deployment": "x"}}, "set from name"),
        ({"role_path": "ml"}, "--role-path ml: must begin and end with a slash"),
        ({"instance_pools": "ml.c7i.xlarge"}, "two to 5 different instance types"),
        ({"instance_pools": "ml.c7i.xlarge,ml.c7i.xlarge"}, "two to 5 different instance types"),
        ({"instance_pools": ",".join(f"ml.c{n}i.xlarge" for n in range(6))}, "two to 5"),
        ({"instance_pools": "ml.c7i.xlarge,c6i"}, "c6i is not an instance type"),
        ({"instance_pools": "ml.c7i.xlarge,ml.c6i.xlarge", "mode": "multi-model"}, "not in multi-model"),
        (
            {"instance_pools": "ml.c7i.xlarge,ml.c6id.xlarge", "kms_key": f"{KEYS}/k"},
            "c6id.* local disk",
        ),
    ],
)
def test_an_invalid_value_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        read_config(None, values)


def test_an_asynchronous_endpoint_can_be_updated_in_halves() -> None:
    assert read_config(None, {"rolling": True, "instances": 2, "mode": "async"}).rolling


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "deploy.toml"
    with pytest.raises(ToolError, match="cannot read .*deploy.toml: No such file or directory"):
        read_config(path, {})
    path.write_text("name: mine")
    with pytest.raises(ToolError, match="deploy.toml is not a valid TOML file"):
        read_config(path, {})


def test_a_serverless_container_is_never_isolated() -> None:
    isolated = {mode: DeploymentConfig(mode=mode).is_isolated for mode in ("realtime", "async", "serverless")}
    assert isolated == {"realtime": True, "async": True, "serverless": False}
    assert not DeploymentConfig(network_isolation=False).is_isolated
