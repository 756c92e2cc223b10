"""A multi-model endpoint: its models are added, asked by name, and removed, with a real server behind it."""

import shlex
from pathlib import Path

import boto3
import pytest

from tests.aws import aws_account, multi_model_runtime
from tests.aws.aws_account import REGION, inventory, make_deployment, remove_all
from tools.deploy import __main__ as command
from tools.deploy import commands
from tools.deploy.config import read_config
from tools.deploy.output import question_command
from tools.errors import ToolError
from tools.invoke.__main__ import main as ask
from tools.local_server import LocalServer


def test_models_are_added_asked_and_removed(
    moto: str, demo_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in demo_dir.iterdir():
        (other / file.name).symlink_to(file.resolve())
    environment = {"SAGEMAKER_MULTI_MODEL": "true", "PRECISIONS": "INT8", "WIDE_LANE": "false", "NARROW_LANES": "1"}
    with (
        LocalServer(demo_dir, environment, log=tmp_path / "log") as server,
        multi_model_runtime.running(server.url, tmp_path / "models") as (url, runtime),
    ):
        aws_account.enter(moto, url, monkeypatch)
        aws_account.install_engine(tmp_path / "bin", monkeypatch)
        lines: list[str] = []
        before = inventory()
        first = make_deployment(demo_dir, lines=lines, mode="multi-model")
        commands.up(first)
        second = make_deployment(other, lines=lines, mode="multi-model")
        assert "upload" in str(dict(commands.planned_changes(second))["artifact"])
        assert dict(commands.planned_changes(second))["endpoint"] is None
        commands.up(second)
        names = [first.target_model, second.target_model]
        assert runtime.targets == names
        assert names[0].startswith("demo-")
        assert names[1].startswith("other-")
        assert sum("Zoë Müller" in line for line in lines) == 2
        (model,) = inventory()["models"]
        container = boto3.client("sagemaker", REGION).describe_model(ModelName=model)["PrimaryContainer"]
        assert container["ModelDataUrl"].endswith("/bert-qa/models/")

        monkeypatch.setattr("sys.argv", ["invoke", *shlex.split(question_command(first))[3:]])
        ask()
        assert "[Zoë Müller]" in capsys.readouterr().out
        assert runtime.targets == [*names, names[0]]

        without_mode = make_deployment(other)
        command.status(without_mode)
        shown = capsys.readouterr().out
        assert all(f"artifact {name}" in shown for name in names)
        assert f"SageMaker model {model}" in shown
        command.remove_model(without_mode, names[0])
        assert f"{names[0]} is removed from S3. Instances" in capsys.readouterr().out
        assert [key.rpartition("/")[2] for key in inventory()["objects"]] == [names[1]]
        with pytest.raises(ToolError, match=f"name one of {names[1]} with --target-model"):
            commands.remove_model(second, "nothing.tar.gz")
        with pytest.raises(ToolError, match="bert-qa is multi-model, and AWS cannot change that to realtime"):
            commands.planned_changes(make_deployment(demo_dir))
        remove_all(second)
        assert inventory() == before


def test_a_multi_model_endpoint_has_one_variant_and_packed_artifacts() -> None:
    for values in ({"traffic": "INT8=1,FP32=1"}, {"uncompressed": True}):
        with pytest.raises(ToolError, match="realtime"):
            read_config(None, {"mode": "multi-model", **values})
