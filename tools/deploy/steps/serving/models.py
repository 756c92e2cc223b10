"""The step for SageMaker's models: an image, an artifact and settings."""

from typing import Any

from tools.deploy.config import Variant
from tools.deploy.steps.serving.versioned_step import VersionedStep


class ModelsStep(VersionedStep):
    """Creates one model for each variant."""

    title = "model"
    api_name = "Model"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of CreateModel for each model, by name."""
        return {self.model_name(variant): self._request(variant) for variant in self._config.variants}

    def model_name(self, variant: Variant) -> str:
        """Return the name of a variant's model."""
        return self._names.versioned(self._request(variant), "CreateModel", variant.precision or "")

    def _request(self, variant: Variant) -> dict[str, Any]:
        deployment = self._deployment
        environment = dict(self._config.environment)
        if variant.precision:
            environment["PRECISIONS"] = variant.precision
        location = f"s3://{self._names.bucket}/{deployment.artifact_prefix}"
        source = {"S3Uri": f"{location}model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        data: dict[str, Any] = {"ModelDataUrl": f"{location}model.tar.gz"}
        if self._config.uncompressed:
            data = {"ModelDataSource": {"S3DataSource": source}}
        return {
            "ExecutionRoleArn": self._names.role_arn,
            "PrimaryContainer": {"Image": deployment.image.uri, "Environment": environment, **data},
            "EnableNetworkIsolation": self._config.is_isolated,
        }
