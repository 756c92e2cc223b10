"""The command invoke against a real server, and through SageMaker Runtime's API on localhost."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.tools.command import command_line, error_of, run_tool
from tests.tools.demo_files import HELD_OUT
from tools.local_server import PROGRAM_DIR, LocalServer

QUESTION = ["--question", "Who built it?", "--context", "In 1871 the engineer Zoë Müller built it."]


def test_a_server_answers_one_question_in_each_precision(server: LocalServer) -> None:
    for precision in ("INT8", "FP32"):
        done = run_tool("invoke", *QUESTION, "--url", server.url, "--precision", precision.lower())
        assert done.returncode == 0, done.stderr
        assert "In 1871 the engineer [Zoë Müller] built it." in done.stdout
        assert precision in done.stdout


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_a_text_is_sent_as_it_is(server: LocalServer, tmp_path: Path, locale: str) -> None:
    content = "\ufeffIt rained.\r\nThen\rcame\u2028Zoë Müller\r\nwho built the tower in 1871.\r\n".encode()
    file = tmp_path / "context.txt"
    file.write_bytes(content)
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = ("--question", "Who built the tower?", "--url", server.url, "--json")
    done = subprocess.run(
        command_line("invoke", *arguments, "--context-file", file),
        cwd=PROGRAM_DIR, env={**os.environ, **environment}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert content.decode()[answer["start"] : answer["end"]] == answer["answer"] != ""
    piped = subprocess.run(
        command_line("invoke", *arguments, "--context", "-"),
        cwd=PROGRAM_DIR, env={**os.environ, **environment}, input=content, capture_output=True, check=False,
    )  # fmt: skip
    assert json.loads(piped.stdout) == answer


def test_a_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin1.txt"
    file.write_bytes("Zoë".encode("latin-1"))
    done = run_tool("invoke", "--question", "Who?", "--context-file", file)
    assert f"{file} is not UTF-8: the byte at 2" in error_of(done)


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


def squad_file(path: Path, *questions: str) -> Path:
    qas = [{"id": f"q{number}", "question": question} for number, question in enumerate(questions, 1)]
    context = "In 1871 the engineer Zoë Müller built it."
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def test_a_refused_question_does_not_end_a_file(server: LocalServer, tmp_path: Path) -> None:
    file = squad_file(tmp_path / "q.json", "Who built it?", " ", "who " * 200, "\ud800 who?", "When was it built?")
    done = run_tool("invoke", "--data", file, "--url", server.url)
    assert done.returncode == 3, done.stderr
    assert "[Zoë Müller]" in done.stdout
    assert "[1871]" in done.stdout
    assert "question q2 was refused" in done.stdout
    assert "3 of 5 question(s) were refused: 1 x " in done.stderr
    assert "question: must contain more than white space" in done.stderr
    assert "Traceback" not in done.stderr
    lines = [
        json.loads(line)
        for line in run_tool("invoke", "--data", file, "--url", server.url, "--json").stdout.splitlines()
    ]
    assert [line.get("answer", line.get("id")) for line in lines] == ["Zoë Müller", "q2", "q3", "q4", "1871"]
    assert lines[1]["status"] == 422
    assert lines[1]["error"] == "question: must contain more than white space"


def test_a_file_of_which_every_question_is_refused_ends_with_an_error(server: LocalServer, tmp_path: Path) -> None:
    file = squad_file(tmp_path / "q.json", " ", "")
    error = error_of(run_tool("invoke", "--data", file, "--url", server.url))
    assert "2 of 2 question(s) were refused: 2 x question: must contain more than white space" in error


def test_a_terminal_that_cannot_show_a_character_shows_another_one(server: LocalServer) -> None:
    done = run_tool("invoke", *QUESTION, "--url", server.url, environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "[Zo? M?ller]" in done.stdout


@pytest.fixture
def bucket(account: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """S3 with a bucket called `mine`, in an account in which every endpoint is the server."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="mine", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3


def keys(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket="mine").get("Contents", [])]


def create_endpoint(**config: Any) -> None:
    """Create the endpoint `bert-qa`."""
    sagemaker = boto3.client("sagemaker")
    container = {"Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/bert-qa:1"}
    role = "arn:aws:iam::123456789012:role/execution"
    sagemaker.create_model(ModelName="bert-qa", PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "AllTraffic", "ModelName": "bert-qa", "InstanceType": "ml.c5.2xlarge"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="bert-qa", ProductionVariants=[{**variant, "InitialInstanceCount": 1}], **config
    )
    sagemaker.create_endpoint(EndpointName="bert-qa", EndpointConfigName="bert-qa")


def test_an_asynchronous_endpoint_is_asked_through_s3(bucket: Any) -> None:
    done = run_tool("invoke", *QUESTION, "--endpoint", "bert-qa", "--async", "s3://mine/questions/")
    assert done.returncode == 0, done.stderr
    assert "In 1871 the engineer [Zoë Müller] built it." in done.stdout
    assert sum(key.startswith("questions/") for key in keys(bucket)) == 1


def test_the_questions_go_beside_the_results_of_the_endpoint(bucket: Any) -> None:
    create_endpoint(AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://mine/bert-qa/output/"}})
    done = run_tool("invoke", "--data", HELD_OUT, "--limit", 2, "--endpoint", "bert-qa", "--async", "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert sum(key.startswith("bert-qa/output/questions/") for key in keys(bucket)) == 2


def test_the_failure_of_an_asynchronous_request_is_shown(bucket: Any) -> None:
    done = run_tool("invoke", "--question", "", "--context", "a", "--endpoint", "bert-qa", "--async", "s3://mine/q")
    assert "bert-qa answers 422: question: must contain more than white space" in error_of(done)


def test_an_endpoint_that_is_not_asynchronous_is_named(bucket: Any) -> None:
    create_endpoint()
    error = error_of(run_tool("invoke", *QUESTION, "--endpoint", "bert-qa", "--async"))
    assert "the endpoint bert-qa is not asynchronous" in error


@pytest.mark.parametrize(
    "arguments", [["--async"], ["--async", "--url", "http://a"], ["--async", "--endpoint", "a", "--variant", "b"]]
)
def test_async_needs_an_endpoint_without_a_variant(arguments: list[str]) -> None:
    done = run_tool("invoke", *QUESTION, *arguments)
    assert done.returncode == 2
    assert "--async needs --endpoint, and neither --variant nor --target-model" in done.stderr


def test_an_api_key_is_sent(demo_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key-of-the-tests\nsecond-key-of-the-tests\n")
    (tmp_path / "none").write_text("\n")
    with LocalServer(demo_dir, {"API_KEY_FILE": str(tmp_path / "keys"), "PRECISIONS": "INT8"}) as server:
        with_key = run_tool("invoke", *QUESTION, "--url", server.url, "--api-key-file", tmp_path / "keys")
        without = run_tool("invoke", *QUESTION, "--url", server.url)
    assert "[Zoë Müller]" in with_key.stdout, with_key.stderr
    assert "answers 401: this request has no API key" in error_of(without)
    for name, reason in (("none", "holds no API key"), ("missing", "cannot read an API key")):
        file = tmp_path / name
        assert f"{file}: {reason}" in error_of(run_tool("invoke", *QUESTION, "--api-key-file", file))
