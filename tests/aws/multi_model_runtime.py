"""InvokeEndpoint of a multi-model endpoint, in front of a real server that serves many models.

Like the platform, it fetches the archive that TargetModel names from below ModelDataUrl, unpacks it, and loads it into
the container. tools.local_endpoint has one model only.
"""

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.exceptions import ClientError

from tests.aws.iam import REGION


class Runtime(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, server_url: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.server_url = server_url
        self.folder = folder
        self.targets: list[str] = []  # the models that were asked

    def ask(self, endpoint: str, target: str, body: bytes) -> tuple[int, bytes]:
        self.targets.append(target)
        name = hashlib.sha256(target.encode()).hexdigest()
        directory = self.folder / name
        if not directory.is_dir():
            try:
                archive = _fetch(endpoint, target)
            except ClientError:
                return 400, json.dumps({"Message": f"Failed to download model data {target}"}).encode()
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                packed.extractall(directory, filter="data")
        with httpx.Client(base_url=self.server_url, timeout=120) as client:
            loaded = client.post("/models", json={"model_name": name, "url": str(directory)})
            assert loaded.status_code in (200, 409), loaded.text
            headers = {"Content-Type": "application/json"}
            answer = client.post(f"/models/{name}/invoke", content=body, headers=headers)
        return answer.status_code, answer.content


def _fetch(endpoint: str, target: str) -> bytes:
    sagemaker = boto3.client("sagemaker", REGION)
    name = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    container = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    assert container["Mode"] == "MultiModel"
    bucket, _, prefix = container["ModelDataUrl"].removeprefix("s3://").partition("/")
    content: bytes = boto3.client("s3", REGION).get_object(Bucket=bucket, Key=f"{prefix}{target}")["Body"].read()
    return content


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Runtime

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers["X-Amzn-SageMaker-Target-Model"]
        status, content = self.server.ask(self.path.split("/")[2], target, body)
        self.send_response(status)
        if status != 200:
            self.send_header("x-amzn-ErrorType", "ValidationError")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running(server_url: str, folder: Path) -> Iterator[tuple[str, Runtime]]:
    """Run the API; yield its URL and what it has seen."""
    runtime = Runtime(server_url, folder)
    thread = threading.Thread(target=runtime.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runtime.server_port}", runtime
    finally:
        runtime.shutdown()
        runtime.server_close()
        thread.join()
