"""An AWS account and a SageMaker endpoint on this machine, for docs/notebook.ipynb.

moto's server has the APIs of AWS and keeps state, and forgets everything when it stops. A server of this project
answers InvokeEndpoint, for every endpoint name. Nothing leaves the machine, and nothing is charged.
"""

import atexit
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx

from tools.errors import ToolError
from tools.local_server import LocalServer, free_port
from tools.remote import local_endpoint
from tools.remote.aws import Aws

REGION = "us-east-1"
INSTANCE = "ml.c5.2xlarge"  # moto does not know ml.c6i
REPOSITORY, TAG = "bert-qa-image", "local"
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}'
START_SECONDS = 60
POLL_SECONDS = 0.2


class LocalAws:
    """The account, as a context manager. Within it, the environment variables of this process name the account."""

    def __init__(self, model_dir: Path) -> None:
        self._model_dir = model_dir
        self._running = ExitStack()

    def __enter__(self) -> "LocalAws":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "LocalAws":
        """Start the account and the server, which serves model_dir, and wait until they answer.

        Raises: ToolError.
        """
        atexit.register(self.stop)  # a notebook whose cell fails never comes to the cell that stops it
        try:
            self.server = self._running.enter_context(LocalServer(self._model_dir))
            runtime = self._running.enter_context(local_endpoint.running(self.server.url))
            moto = self._start_moto()
            self._enter({"AWS_ENDPOINT_URL": moto, "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime})
            self.image_uri = self._put_image()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything, and restore the environment variables."""
        atexit.unregister(self.stop)
        self._running.close()

    def _start_moto(self) -> str:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._running.callback(process.wait)
        self._running.callback(process.kill)
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{url}/moto-api/data.json", timeout=START_SECONDS).raise_for_status()
                return url
            except httpx.TransportError:
                if process.poll() is not None:
                    raise ToolError(
                        "moto's server ended: is moto[server] installed? `make setup` installs it"
                    ) from None
                time.sleep(POLL_SECONDS)
        raise ToolError(f"moto's server did not start within {START_SECONDS} s")

    def _enter(self, urls: Mapping[str, str]) -> None:
        """Set the environment variables of AWS for the account, and let `stop` restore them."""
        before = dict(os.environ)
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(
            urls,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true",
        )

        def restore() -> None:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                del os.environ[name]
            os.environ.update({name: value for name, value in before.items() if name.startswith("AWS_")})

        self._running.callback(restore)

    def _put_image(self) -> str:
        """Put an image without content into the account's registry, and return its URI."""
        aws = Aws(REGION)
        uri: str = aws.call("ecr", "CreateRepository", repositoryName=REPOSITORY)["repository"]["repositoryUri"]
        aws.call("ecr", "PutImage", repositoryName=REPOSITORY, imageManifest=MANIFEST, imageTag=TAG)
        return f"{uri}:{TAG}"
