"""The question tools against the real server, through SageMaker Runtime's API on localhost."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tools.local_server import LocalServer
from tools.remote.local_endpoint import running
from tools.remote.object_store import FolderStore

ROOT = Path(__file__).parents[2]
QUESTION = ["--question", "Who built it?", "--context", "In 1871 the engineer Zoë Müller built it."]


@pytest.fixture
def endpoint(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:9")  # nobody describes this endpoint
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with running(server.url) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", url)
        yield url


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"tools.{tool}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_one_question_to_a_server_in_each_precision(server: LocalServer) -> None:
    for precision in ("INT8", "FP32"):
        done = run("invoke", *QUESTION, "--url", server.url, "--precision", precision.lower())
        assert done.returncode == 0, done.stderr
        assert "In 1871 the engineer [Zoë Müller] built it." in done.stdout
        assert precision in done.stdout


def test_a_file_to_an_endpoint_gives_a_line_of_json_each(endpoint: str) -> None:
    data = str(ROOT / "models" / "demo" / "held_out.json")
    done = run("invoke", "--data", data, "--limit", "3", "--endpoint", "bert-qa", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["version"] for answer in answers] == ["INT8"] * 3


def test_the_containers_error_is_shown(endpoint: str, server: LocalServer) -> None:
    for where in (["--endpoint", "bert-qa"], ["--url", server.url]):
        done = run("invoke", "--question", "", "--context", "Text.", *where)
        assert done.returncode == 1
        assert "answers 422" in done.stderr
        assert "question" in done.stderr


def test_boto3_gets_an_answer_and_a_model_error(endpoint: str) -> None:
    client = boto3.client("sagemaker-runtime")
    body = json.dumps({"question": "Who built it?", "context": "Zoë Müller built it."})
    response = client.invoke_endpoint(EndpointName="bert-qa", ContentType="application/json", Body=body)
    assert json.loads(response["Body"].read())["answer"] == "Zoë Müller"
    stream = client.invoke_endpoint_with_response_stream(
        EndpointName="bert-qa", ContentType="application/json", Body=body
    )
    parts = b"".join(event["PayloadPart"]["Bytes"] for event in stream["Body"])
    assert json.loads(parts)["answer"] == "Zoë Müller"
    with pytest.raises(ClientError) as raised:
        client.invoke_endpoint(EndpointName="bert-qa", ContentType="application/json", Body="{}")
    assert raised.value.response["Error"]["Code"] == "ModelError"
    assert raised.value.response["OriginalStatusCode"] == 422
    client.close()


def test_boto3_gets_asynchronous_answers_and_failures(server: LocalServer, tmp_path: Path, endpoint: str) -> None:
    bodies = {"good": {"question": "Who built it?", "context": "Zoë Müller built it."}, "bad": {}}
    (tmp_path / "bucket").mkdir()
    for name, body in bodies.items():
        (tmp_path / "bucket" / name).write_text(json.dumps(body))
    with running(server.url, FolderStore(tmp_path)) as url:
        client = boto3.client("sagemaker-runtime", endpoint_url=url)
        contents = {}
        for name, location in (("good", "OutputLocation"), ("bad", "FailureLocation")):
            response = client.invoke_endpoint_async(
                EndpointName="bert-qa", ContentType="application/json", InputLocation=f"s3://bucket/{name}"
            )
            assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
            path = tmp_path / response[location].removeprefix("s3://")
            deadline = time.monotonic() + 30
            while not path.is_file() and time.monotonic() < deadline:
                time.sleep(0.05)
            contents[name] = json.loads(path.read_text())
        with pytest.raises(ClientError, match="leads out|no address|ValidationError"):
            client.invoke_endpoint_async(EndpointName="bert-qa", InputLocation="https://bucket/key")
        client.close()
    assert contents["good"]["answer"] == "Zoë Müller"
    assert "question" in contents["bad"]["error"]


def test_evaluate_over_an_endpoint_agrees_with_the_server(endpoint: str, server: LocalServer, tmp_path: Path) -> None:
    data = str(ROOT / "models" / "demo" / "held_out.json")
    reports = []
    for number, where in enumerate((["--endpoint", "bert-qa"], ["--url", server.url])):
        output = tmp_path / f"{number}.json"
        done = run("evaluate", *where, "--data", data, "--limit", "20", "--output", str(output),
                   "--journal", str(tmp_path / "journal"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        report = json.loads(output.read_text())
        del report["fingerprint"]
        reports.append(report)
    assert reports[0] == reports[1]
