"""Documentation cannot drift: tables are held against the code, and what the README shows is run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from container import contract
from container.settings import Settings, variable_names
from serve.api import schemas
from serve.api.error_response import ERROR_STATUS, error_type
from tools.local_server import LocalServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
DEPLOY = (ROOT / "docs" / "deploy.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "models" / "demo" / "README.md"]


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line.startswith("| ")
    ]


def test_every_setting_has_its_row_with_names_default_and_meaning() -> None:
    documented = {row[0]: row[1:] for row in rows(SETTINGS)}
    for name, field in Settings.model_fields.items():
        names = ", ".join(f"`{variable}`" for variable in variable_names(name))
        default = "auto" if field.default is None else str(field.default)
        assert documented[names][0].strip("`").lower() == default.lower(), name
        assert documented[names][1] == field.description, name
    assert len([names for names in documented if names.startswith("`")]) == len(Settings.model_fields)


def test_every_error_has_its_row() -> None:
    documented = {(row[0], row[1].strip("`")) for row in rows(API) if row[0].isdigit()}
    expected = {(str(status), error_type(kind.__new__(kind))) for kind, status in ERROR_STATUS.items()}
    assert documented == expected | {("500", "internal")}


def test_every_parameter_has_its_row_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1] for row in rows(API)}
    for name, field in schemas.Parameters.model_fields.items():
        default = "artifact" if field.default is None else str(field.default).lower()
        assert default in documented[name], name


def test_every_exit_code_has_its_row() -> None:
    documented = {row[0] for row in rows(SETTINGS) if row[0].isdigit()}
    codes = {contract.EXIT_USAGE, contract.EXIT_CPU, contract.EXIT_ARTIFACT, contract.EXIT_SETTINGS, 0}
    assert documented == {str(code) for code in codes}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def test_make_targets_that_are_named_exist() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_flags_that_the_deployment_guide_names_exist() -> None:
    tools = ("deploy", "invoke", "evaluate", "benchmark", "local_endpoint", "quantize")
    helps = [[sys.executable, "-m", f"tools.{tool}", "--help"] for tool in tools]
    text = "".join(subprocess.run(one, cwd=ROOT, capture_output=True, text=True, check=True).stdout for one in helps)
    known = set(re.findall(r"--[a-z][a-z-]*", text)) | {"--platform", "--provenance", "--output"}  # docker's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DEPLOY)) <= known


def test_the_readmes_questions_get_answers(server: LocalServer) -> None:
    commands = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if block.startswith("curl")]
    assert len(commands) == 2
    outputs = []
    for command in commands:
        here = command.replace("localhost:8080", server.url)
        outputs.append(json.loads(subprocess.run(here, shell=True, capture_output=True, text=True, check=True).stdout))
    shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    assert outputs[0] == {**shown, "score": pytest.approx(shown["score"], abs=0.1)}
    assert [prediction["version"] for prediction in outputs[1]["predictions"]] == ["FP32", "INT8"]
    assert len(outputs[1]["predictions"][1]["answers"]) == 3


def test_metrics_that_the_documents_name_exist(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    for document in DOCUMENTS:
        for name in re.findall(r"bertqa_[a-z_]+", document.read_text()):
            assert name in text, name
