"""The CDK example: the stack that it synthesizes is valid, and creates the same as `up`."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from container import contract
from tests.aws.aws_account import REGION
from tests.aws.example_environments import EXAMPLES, python_with
from tests.aws.stacks import assert_same_as_up, make_config
from tools.deploy.config import DeploymentConfig
from tools.deploy.deployment import Deployment
from tools.remote.aws import Aws

APP = EXAMPLES / "cdk" / "app.py"
# The settings of the example that correspond to a value in the configuration of tools.deploy.
FIELDS = (
    "name",
    "instances",
    "max_instances",
    "scale_target",
    "startup_seconds",
    "rollback_alarm",
    "alarms",
    "alarm_topic",
)
OTHER_ACCOUNT = f"999999999999.dkr.ecr.{REGION}.amazonaws.com/images/bert-qa:{contract.VERSION}"
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "max_instances": 3, "scale_target": 700, "rollback_alarm": True, "image_uri": OTHER_ACCOUNT,
        "instance_pools": "ml.c7i.2xlarge,ml.c6i.2xlarge",
        "alarms": True, "alarm_topic": f"arn:aws:sns:{REGION}:123456789012:on-call",
    },
    "alarms without a topic": {"alarms": True},
}  # fmt: skip


@pytest.fixture(scope="module")
def cdk_python() -> Path:
    if shutil.which("node") is None:
        pytest.skip("CDK needs Node.js, and the command node is not there")
    return python_with(APP.parent / "requirements.txt")


def synthesize(python: Path, folder: Path, **context: str) -> str:
    """Run the app as CDK's command does, and return the template."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),  # jsii unpacks its packages below this folder
        "CDK_OUTDIR": str(folder),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
    }
    done = subprocess.run([python, APP.name], cwd=APP.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (template,) = folder.glob("*.template.json")
    return template.read_text()


@pytest.mark.parametrize("values", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_stack_is_valid_and_creates_the_same_as_up(
    values: dict[str, Any], cdk_python: Path, resolved: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "artifact").mkdir()
    config = make_config(tmp_path / "artifact", **values)
    key = Deployment(Aws(REGION), config, print).artifact_keys[0]
    template = synthesize(cdk_python, tmp_path / "out", **context_of(config, key))
    assert lint(template, config=ManualArgs(regions=["us-east-1", "cn-north-1", "us-gov-west-1"])) == []
    client = boto3.client("cloudformation")
    client.create_stack(StackName=config.name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])
    (stack,) = client.describe_stacks(StackName=config.name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Outputs"][0]["OutputValue"] == config.name
    client.delete_stack(StackName=config.name)
    assert_same_as_up(resolved, config)


def context_of(config: DeploymentConfig, model_key: str) -> dict[str, str]:
    """Return the context of the app for this configuration, as texts, like values of the command line."""
    values = {name: str(getattr(config, name)) for name in FIELDS if getattr(config, name) is not None}
    return {
        **values,
        "model_bucket": config.bucket,
        "model_key": model_key,
        "image_uri": config.image_uri,
        "precisions": config.environment["PRECISIONS"],
        "instance_types": ",".join(config.instance_types),
    }
