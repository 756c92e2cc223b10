"""The part of SageMaker that runs containers, which moto does not have.

When a test creates an endpoint in moto, a container of the image starts with the artifact that the model names in S3.
"""

import tarfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.responses import SageMakerResponse

from tests.aws.aws_account import REGION
from tests.image.engine import Container
from tools.local_server import free_port
from tools.remote.object_store import split_s3_uri


class Hosting:
    """Runs the container of at most one endpoint, always on the same port.

    images: the image of each model that was served, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.images: list[str] = []
        self._folder = folder
        self._running = ExitStack()

    def serve(self, config_name: str) -> None:
        """Unpack the archive of the model, start a container with it, and wait until the server is ready."""
        self.stop()
        sagemaker = boto3.client("sagemaker", REGION)
        (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=config_name)["ProductionVariants"]
        model = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
        self.images.append(model["Image"])
        archive, unpacked = self._folder / f"{config_name}.tar.gz", self._folder / config_name
        boto3.client("s3", REGION).download_file(*split_s3_uri(model["ModelDataUrl"]), str(archive))
        with tarfile.open(archive) as packed:
            packed.extractall(unpacked, filter="data")
        options = [part for name, value in model["Environment"].items() for part in ("--env", f"{name}={value}")]
        volume = f"{unpacked}:/opt/ml/model:ro"
        container = Container("--read-only", "--tmpfs", "/tmp", "--volume", volume, *options, port=self.port)
        self._running.enter_context(container).wait_until_ready()

    def stop(self) -> None:
        """Remove the container, if there is one."""
        self._running.close()


def connect(hosting: Hosting, patch: pytest.MonkeyPatch) -> None:
    """Make moto start and stop containers when it creates, updates and deletes endpoints."""
    create, update, delete = (getattr(SageMakerResponse, f"{verb}_endpoint") for verb in ("create", "update", "delete"))

    def serving(original: Any) -> Any:
        def answer(self: Any) -> Any:
            answered = original(self)
            hosting.serve(self._get_param("EndpointConfigName"))
            return answered

        return answer

    def delete_endpoint(self: Any) -> Any:
        hosting.stop()
        return delete(self)

    patch.setattr(SageMakerResponse, "create_endpoint", serving(create))
    patch.setattr(SageMakerResponse, "update_endpoint", serving(update))
    patch.setattr(SageMakerResponse, "delete_endpoint", delete_endpoint)
