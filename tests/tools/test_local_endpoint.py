"""SageMaker Runtime's API on localhost, called with boto3, in front of a real server."""

import json
import time
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from tools.local_server import LocalServer
from tools.remote.local_endpoint import running
from tools.remote.object_store import FolderStore


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
            deadline = time.monotonic() + 30
            while not path.is_file() and time.monotonic() < deadline:
                time.sleep(0.05)
            contents[name] = json.loads(path.read_text())
        with pytest.raises(ClientError, match="leads out|no address|ValidationError"):
            client.invoke_endpoint_async(EndpointName="bert-qa", InputLocation="https://bucket/key")
        client.close()
    assert contents["good"]["answer"] == "Zoë Müller"
    assert "question" in contents["bad"]["error"]
