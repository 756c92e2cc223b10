"""The command invoke against a real server, and through SageMaker Runtime's API on localhost."""

import json

from tests.tools.command import run_tool
from tests.tools.demo_files import HELD_OUT
from tools.local_server import LocalServer

QUESTION = ["--question", "Who built it?", "--context", "In 1871 the engineer Zoë Müller built it."]


def test_a_server_answers_one_question_in_each_precision(server: LocalServer) -> None:
    for precision in ("INT8", "FP32"):
        done = run_tool("invoke", *QUESTION, "--url", server.url, "--precision", precision.lower())
        assert done.returncode == 0, done.stderr
        assert "In 1871 the engineer [Zoë Müller] built it." in done.stdout
        assert precision in done.stdout


def test_an_endpoint_answers_a_file_with_one_line_of_json_per_question(local_endpoint: str) -> None:
    done = run_tool("invoke", "--data", HELD_OUT, "--limit", 3, "--endpoint", "bert-qa", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["version"] for answer in answers] == ["INT8"] * 3


def test_an_error_of_the_container_is_shown(local_endpoint: str, server: LocalServer) -> None:
    for where in (["--endpoint", "bert-qa"], ["--url", server.url]):
        done = run_tool("invoke", "--question", "", "--context", "Text.", *where)
        assert done.returncode == 1
        assert "answers 422" in done.stderr
        assert "question" in done.stderr
