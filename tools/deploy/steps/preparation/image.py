"""The step that pushes the local image to ECR."""

import base64

from tools.deploy.steps.preparation.image_format import check_format, describe_image
from tools.deploy.steps.step import Step


class ImageStep(Step):
    """Pushes the local image under a tag from the image's id. The image is removed together with its repository."""

    title = "image"

    def change(self) -> str | None:
        """Describe the push if ECR does not have the image yet.

        Raises: ToolError if ECR has the image in a format that SageMaker does not accept.
        """
        if self._check_pushed() or self._config.image_uri:
            return None
        return f"push {self._config.image} as {self._deployment.image.uri}"

    def apply(self) -> None:
        """Push the image, and check the format in which it has arrived."""
        if self.change() is None:
            return
        image = self._deployment.image
        token = base64.b64decode(image.registry_token["authorizationToken"]).decode()
        user, _, password = token.partition(":")
        image.engine.push(self._config.image, image.uri, user=user, password=password)
        self._check_pushed()

    def _check_pushed(self) -> bool:
        """Return whether ECR has the image, after a check of its format."""
        image = describe_image(self._deployment)
        if image is not None:
            check_format(image, self._deployment.image.uri)
        return image is not None
