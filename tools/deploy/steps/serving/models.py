"""The step for SageMaker's models: an image, an artifact and settings."""

from typing import Any

from tools.deploy.steps.serving.versioned_step import VersionedStep
from tools.deploy.variants import Variant


class ModelsStep(VersionedStep):
    """Creates one model for each variant."""

    title = "model"
    api_name = "Model"
    kind = "SageMaker model"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of CreateModel for each model, by name."""
        return {self.model_name(variant): self._request(variant) for variant in self._config.variants}

    def model_name(self, variant: Variant) -> str:
        """Return the name of a variant's model."""
        return self._names.versioned(self._request(variant), "CreateModel", variant.precision or "")

    def _request(self, variant: Variant) -> dict[str, Any]:
        environment = dict(self._config.environment)
        if self._config.mode == "async":
            environment.setdefault("ASYNC_INFERENCE", "true")
        if variant.precision:
            environment["PRECISIONS"] = variant.precision
        return {
            "ExecutionRoleArn": self._names.role_arn,
            "PrimaryContainer": {"Image": self._deployment.image.uri, "Environment": environment, **self._source()},
            "EnableNetworkIsolation": self._config.is_isolated,
            **({"VpcConfig": self._config.vpc} if self._config.vpc else {}),
        }

    def _source(self) -> dict[str, Any]:
        """Return where SageMaker finds the artifact: one archive, separate files, or a folder of archives."""
        location = f"s3://{self._names.bucket}/{self._deployment.artifact_prefix}"
        if self._config.mode == "multi-model":
            return {"Mode": "MultiModel", "ModelDataUrl": f"s3://{self._names.bucket}/{self._names.models_prefix}"}
        if self._config.uncompressed:
            source = {"S3Uri": f"{location}model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
            return {"ModelDataSource": {"S3DataSource": source}}
        return {"ModelDataUrl": f"{location}model.tar.gz"}
