"""SageMaker Runtime's API on localhost, called with boto3, in front of a real server."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.tools.command import error_of, run_tool
from tests.waiting import wait_until
from tools.local_server import LocalServer
from tools.remote.local_endpoint import running
from tools.remote.object_store import FolderStore


def test_a_port_that_cannot_be_opened_ends_the_command_with_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        message = error_of(run_tool("local_endpoint", "--port", port))
    assert message == f"error: port {port} is in use: stop the other program, or name another port with --port"
    message = error_of(run_tool("local_endpoint", "--port", 70000))
    assert message == "error: port 70000 cannot be opened: name another port with --port"


def test_boto3_gets_an_answer_and_a_model_error(local_endpoint: str) -> None:
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


def test_boto3_gets_asynchronous_answers_and_failures(server: LocalServer, tmp_path: Path, local_endpoint: str) -> None:
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
            wait_until(f"the {location} is written", path.is_file)
            contents[name] = json.loads(path.read_text())
        with pytest.raises(ClientError, match="leads out|no address|ValidationError"):
            client.invoke_endpoint_async(EndpointName="bert-qa", InputLocation="https://bucket/key")
        client.close()
    assert contents["good"]["answer"] == "Zoë Müller"
    assert "question" in contents["bad"]["error"]


@pytest.fixture
def asynchronous(server: LocalServer, tmp_path: Path) -> Iterator[httpx.Client]:
    """The API on the objects in tmp_path / "folder"."""
    (tmp_path / "folder" / "bucket").mkdir(parents=True)
    with running(server.url, FolderStore(tmp_path / "folder")) as url, httpx.Client(base_url=url) as client:
        yield client


def invoke_async(client: httpx.Client, location: bytes, headers: dict[str, bytes] | None = None) -> httpx.Response:
    named = {"X-Amzn-SageMaker-InputLocation": location, "X-Amzn-SageMaker-Content-Type": b"application/json"}
    return client.post("/endpoints/bert-qa/async-invocations", headers={**named, **(headers or {})})


def result_of(accepted: httpx.Response, folder: Path, kind: str) -> bytes:
    """Wait for the object that a header of the accepted request names, and return its content."""
    assert accepted.status_code == 202, accepted.text
    path = folder / accepted.headers[f"x-amzn-sagemaker-{kind}location"].removeprefix("s3://")
    wait_until(f"the {kind} is written", path.is_file)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (b"s3://../secret", b"cannot be a file"),
        (b"s3://./secret", b"cannot be a file"),
        (b"s3://bucket/../../secret", b"cannot be a file"),
        (b"s3://bucket//", b"cannot be a file"),
        (b"s3://bucket/missing", b"No such file"),
        (b"s3://no-such-bucket/key", b"No such file"),
        (b"s3://Bucket With Blanks/key", b"No such file"),
        (b"s3://bucket/" + b"x" * 300, b"name too long"),
        (b"s3://" + b"x" * 300 + b"/key", b"name too long"),
        (b"s3://bucket/folder", b"Is a directory"),
        (b"s3://bucket/pipe", b"not a regular file"),
        (b"s3://bucket/huge", b"has 1000000000000 bytes"),
        (b"s3://bucket/link", b"leads out of"),
        ("s3://bucket/Zo\u00eb\u6771".encode(), b"No such file"),
        (b"s3://bucket/\xff\xfe", b"No such file"),
        (b"s3://bucket/bad", b"invalid_request"),
    ],
)
def test_every_input_that_cannot_be_answered_writes_a_failure(
    asynchronous: httpx.Client, tmp_path: Path, location: bytes, reason: bytes
) -> None:
    bucket = tmp_path / "folder" / "bucket"
    (tmp_path / "secret").write_text("secret")
    (bucket / "folder").mkdir()
    (bucket / "link").symlink_to(tmp_path / "secret")
    (bucket / "bad").write_text("{}")
    os.mkfifo(bucket / "pipe")
    with (bucket / "huge").open("wb") as file:
        file.truncate(10**12)  # a sparse file, which takes no space on the disk
    content = result_of(invoke_async(asynchronous, location), tmp_path / "folder", "failure")
    assert reason in content
    assert list(tmp_path.rglob("async-output")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "secret"}


def test_a_key_and_attributes_outside_of_ascii_are_answered(asynchronous: httpx.Client, tmp_path: Path) -> None:
    body = {"question": "Who built it?", "context": "Zoë Müller built it."}
    (tmp_path / "folder" / "bucket" / "Zoë 東").write_text(json.dumps(body))
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "caller=Zo\u00eb".encode("latin-1")}
    accepted = invoke_async(asynchronous, "s3://bucket/Zoë 東".encode(), attributes)
    assert json.loads(result_of(accepted, tmp_path / "folder", "output"))["answer"] == "Zoë Müller"


@pytest.mark.parametrize("location", [b"", b"https://bucket/key", b"s3://", b"s3://bucket", b"s3://b/" + b"x" * 2000])
def test_what_is_not_the_address_of_an_object_is_refused_at_once(
    asynchronous: httpx.Client, tmp_path: Path, location: bytes
) -> None:
    refused = invoke_async(asynchronous, location)
    assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (400, "ValidationError")


def test_a_container_that_does_not_answer_writes_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "key").write_text("{}")
    with running("http://127.0.0.1:9", FolderStore(tmp_path)) as url, httpx.Client(base_url=url) as client:
        assert b"ConnectError" in result_of(invoke_async(client, b"s3://bucket/key"), tmp_path, "failure")
