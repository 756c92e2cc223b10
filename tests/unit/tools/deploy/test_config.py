"""The configuration file: its example is a valid one, and what does not fit together is said."""

import re
import tomllib
from pathlib import Path

import pytest

from tools.deploy.config import TABLES, Deployment, example, read
from tools.errors import ToolError


def test_every_line_of_the_example_may_be_uncommented() -> None:
    text = re.sub(r"^# (\[|\w+ = )", r"\1", example(), flags=re.MULTILINE)
    values = tomllib.loads(text)
    assert set(values) == set(Deployment.model_fields)
    for name, field in Deployment.model_fields.items():
        if name not in TABLES and field.default is not None:
            assert values[name] == (str(field.default) if isinstance(field.default, Path) else field.default), name


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "deploy.toml"
    path.write_text('name = "mine"\ninstances = 2\n')
    found = read(path, {"instances": "3"})
    assert (found.name, found.instances) == ("mine", 3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "Bert"}, "name"),
        ({"colour": "red"}, "colour"),
        ({"traffic": "INT8"}, "INT8=90,FP32=10"),
        ({"traffic": "INT8=1,int8=2"}, "twice"),
        ({"max_instances": 3}, "scale_target"),
        ({"mode": "serverless", "max_instances": 3, "scale_target": 1}, "no instances to scale"),
        ({"mode": "async", "max_instances": 3, "benchmark": "x.json"}, "what waits for each instance"),
        ({"mode": "batch"}, "batch_input"),
        ({"tags": {"bert-qa:deployment": "x"}}, "set from name"),
    ],
)
def test_what_cannot_be_used_is_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        read(None, values)
