"""The step that pushes the local image to ECR."""

import base64

from tools.deploy.steps.preparation.repository import NO_REPOSITORY
from tools.deploy.steps.step import Step

_NO_IMAGE = (*NO_REPOSITORY, "ImageNotFoundException")


class ImageStep(Step):
    """Pushes the local image under a tag from the image's id. The image is removed together with its repository."""

    title = "image"

    def change(self) -> str | None:
        """Describe the push if ECR does not have the image yet."""
        if self._config.image_uri or self._is_pushed():
            return None
        return f"push {self._config.image} as {self._deployment.image.uri}"

    def apply(self) -> None:
        """Log in to ECR and push the image."""
        if self.change() is None:
            return
        image = self._deployment.image
        token = base64.b64decode(image.registry_token["authorizationToken"]).decode()
        user, _, password = token.partition(":")
        image.engine.push(self._config.image, image.uri, user=user, password=password)

    def _is_pushed(self) -> bool:
        ids = [{"imageTag": self._deployment.image.tag}]
        repository = self._names.repository
        response = self._aws.find("ecr", "DescribeImages", _NO_IMAGE, repositoryName=repository, imageIds=ids)
        return response is not None
