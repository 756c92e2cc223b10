"""The commands of the README, and the first one of the page about highlighting, are run."""

import json
import re
import subprocess

import pytest

from tests.docs import pages
from tools.local_server import LocalServer

README = (pages.ROOT / "README.md").read_text()


def test_the_readmes_questions_get_answers(server: LocalServer) -> None:
    commands = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if block.startswith("curl")]
    assert len(commands) == 2
    outputs = []
    for command in commands:
        here = command.replace("localhost:8080", server.url)
        outputs.append(json.loads(subprocess.run(here, shell=True, capture_output=True, text=True, check=True).stdout))
    shown = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    assert outputs[0] == {**shown, "score": pytest.approx(shown["score"], abs=0.05)}
    assert [prediction["version"] for prediction in outputs[1]["predictions"]] == ["FP32", "INT8"]
    assert len(outputs[1]["predictions"][1]["answers"]) == 3


def test_the_page_about_highlighting_shows_what_the_server_returns(server: LocalServer) -> None:
    page = (pages.DOCS / "highlighting.md").read_text()
    command = re.findall(r"```sh\n(curl.*?)```", page, re.DOTALL)[0].replace("localhost:8080", server.url)
    shown = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    output = json.loads(subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout)
    (highlight,) = shown["highlights"]
    highlight["score"] = pytest.approx(highlight["score"], abs=0.01)
    assert output == shown
