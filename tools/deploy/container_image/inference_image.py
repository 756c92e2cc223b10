"""The container image that the model runs: an image that is in ECR already, or a local image and its place in ECR."""

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from tools.deploy.config import DeploymentConfig
from tools.deploy.container_image.engine import ContainerEngine
from tools.deploy.names import DIGEST_LENGTH
from tools.remote.aws import Aws


class InferenceImage:
    """The image of one deployment. The container engine and ECR are asked only when a property needs them."""

    def __init__(self, aws: Aws, config: DeploymentConfig, repository: str) -> None:
        self._aws = aws
        self._config = config
        self._repository = repository

    @cached_property
    def engine(self) -> ContainerEngine:
        """The command docker or podman."""
        return ContainerEngine.find(self._config.engine)

    @cached_property
    def tag(self) -> str:
        """The tag in ECR. The tag is part of the local image's id, so a new image gets a new tag."""
        return self.engine.image_id(self._config.image)[:DIGEST_LENGTH]

    @cached_property
    def registry_token(self) -> dict[str, Any]:
        """ECR's authorization data: the registry's address, and a password that is valid for twelve hours."""
        token: dict[str, Any] = self._aws.call("ecr", "GetAuthorizationToken")["authorizationData"][0]
        return token

    @property
    def uri(self) -> str:
        """The image's name in ECR. The registry's domain differs between AWS's partitions, so ECR is asked for it."""
        if self._config.image_uri:
            return self._config.image_uri
        registry = urlsplit(str(self.registry_token["proxyEndpoint"])).netloc
        return f"{registry}/{self._repository}:{self.tag}"
