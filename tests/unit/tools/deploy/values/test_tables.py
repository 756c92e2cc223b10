"""The tables of the file: the server's settings and boto3's operations, and names that resemble them."""

import re
from difflib import get_close_matches
from pathlib import Path

import pytest

from tools.deploy.config import read_config
from tools.deploy.values.tables import OPERATIONS, SIMILARITY, further_variables, misspelt_settings, settings
from tools.errors import ToolError

SOURCES = Path(__file__).parents[5] / "tools"


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"overrides": {"CreateEndpointConfg": {}}},
            "CreateEndpointConfg.*: write CreateEndpointConfig",
        ),
        ({"overrides": {"StartBuild": {}}}, "would change nothing.*name one of CreateBucket"),
        (
            {"overrides": {"CreateEndpointConfig": {"ProductionVariants": {"INT8": {"VolumeSizeInGB": 9}}}}},
            "names INT8, which it does not have; it has AllTraffic",
        ),
        (
            {"overrides": {"UpdateEndpointWeightsAndCapacities": {"DesiredWeightsAndCapacities": {"x": {}}}}},
            "names x, which it does not have",
        ),
    ],
)
def test_a_wrong_name_is_refused(tables: dict[str, object], words: str) -> None:
    with pytest.raises(ToolError, match=words):
        read_config(None, tables)


def test_a_name_that_resembles_a_setting_is_a_warning() -> None:
    environment = read_config(None, {"environment": {"MAX_QUEU_SECONDS": "5", "MKL_VERBOSE": "1"}}).environment
    (warning,) = misspelt_settings(environment)
    assert warning.startswith("MAX_QUEU_SECONDS is not a setting of the server, and resembles MAX_QUEUE_SECONDS")
    read_config(None, {"environment": {"MODEL_ID": "x", "PAGES": "x", "REPORT": "x", "DNNL_MAX_CPU_ISA": "x"}})


def test_settings_in_any_case_and_variables_of_libraries_are_accepted() -> None:
    environment = {"max_queue_seconds": "5", "MKL_VERBOSE": "1", "SAGEMAKER_CONTAINER_LOG_LEVEL": "20"}
    assert further_variables(read_config(None, {"environment": environment}).environment) == ["MKL_VERBOSE"]


def test_no_setting_is_mistaken_for_another_variable_of_the_platform() -> None:
    for name in ("OMP_NUM_THREADS", "PYTHONUNBUFFERED", "TMPDIR", "SAGEMAKER_PROGRAM", "DNNL_VERBOSE"):
        assert not get_close_matches(name, settings(), n=1, cutoff=SIMILARITY)


def test_each_operation_with_overrides_is_one_that_the_tool_uses() -> None:
    text = "".join(path.read_text() for path in SOURCES.rglob("*.py") if path.name != "tables.py")
    names = {"CreateModel", "CreateEndpointConfig"}  # VersionedStep puts these together
    assert set(OPERATIONS) - names <= set(re.findall(r'"([A-Z][A-Za-z]+)"', text))
