"""The step for the endpoint configuration: the variants, their share of the traffic, and their instances."""

from typing import Any

from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.versioned_step import VersionedStep


class EndpointConfigStep(VersionedStep):
    """Creates the endpoint configuration."""

    title = "endpoint configuration"
    api_name = "EndpointConfig"

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def requests(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of CreateEndpointConfig for the one configuration, by its name."""
        models = ModelsStep(self._deployment)
        request: dict[str, Any] = {
            "ProductionVariants": [
                {
                    "VariantName": variant.name,
                    "ModelName": models.model_name(variant),
                    "InitialVariantWeight": variant.weight,
                    **self._hardware(),
                }
                for variant in self._config.variants
            ]
        }
        if self._config.mode == "async":
            location = f"s3://{self._names.bucket}/{self._names.async_prefix}"
            output = {"S3OutputPath": f"{location}output/", "S3FailurePath": f"{location}failure/"}
            request["AsyncInferenceConfig"] = {"OutputConfig": output}
        return {self._names.versioned(request, "CreateEndpointConfig"): request}

    def config_name(self) -> str:
        """Return the name of the endpoint configuration."""
        return next(iter(self.requests()))

    def _hardware(self) -> dict[str, Any]:
        config = self._config
        if config.mode == "serverless":
            limits = {"MemorySizeInMB": config.memory_mb, "MaxConcurrency": config.max_concurrency}
            return {"ServerlessConfig": limits}
        return {
            "InstanceType": config.instance,
            "InitialInstanceCount": config.instances,
            "ContainerStartupHealthCheckTimeoutInSeconds": config.startup_seconds,
        }
