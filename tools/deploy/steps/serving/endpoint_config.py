"""The step for the endpoint configuration: the variants, their share of the traffic, and their instances."""

from typing import Any

from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.versioned_step import VersionedStep
from tools.remote.instance_prices import physical_cores

# In asynchronous inference a refusal is final, so AWS must not send more than the server accepts. MAX_BODIES_MB has
# room for seven bodies of 25 MiB with 16 GiB of memory, for three with 8 GiB (xlarge) and for one with 4 GiB (large).
MOST_CONCURRENT_REQUESTS = 7


_CHANGEABLE = ("InitialVariantWeight", "InitialInstanceCount")


class EndpointConfigStep(VersionedStep):
    """Creates the endpoint configuration."""

    title = "endpoint configuration"
    api_name = "EndpointConfig"
    kind = "endpoint configuration"

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
        if self._config.mode != "serverless":
            # AWS's default for new configurations is true: botocore, MetricsConfig.
            request["MetricsConfig"] = {"EnableDetailedObservability": self._config.detailed_observability}
        if self._config.mode == "async":
            request["AsyncInferenceConfig"] = self._async_inference()
        if self._config.kms_key:
            request["KmsKeyId"] = self._config.kms_key
        if self._config.capture_percent:
            request["DataCaptureConfig"] = self._capture()
        # Weights and numbers of instances are no part of the name, because the endpoint can change them.
        variants = [
            {key: value for key, value in variant.items() if key not in _CHANGEABLE}
            for variant in request["ProductionVariants"]
        ]
        name = self._names.versioned({**request, "ProductionVariants": variants}, "CreateEndpointConfig")
        return {name: request}

    def config_name(self) -> str:
        """Return the name of the endpoint configuration."""
        return next(iter(self.requests()))

    def _async_inference(self) -> dict[str, Any]:
        location = f"s3://{self._names.bucket}/{self._names.async_prefix}"
        output = {"S3OutputPath": f"{location}output/", "S3FailurePath": f"{location}failure/", **self._key()}
        most = min(_concurrent_requests(one) for one in self._config.instance_types)
        client = {"MaxConcurrentInvocationsPerInstance": most}
        return {"OutputConfig": output, "ClientConfig": client}

    def _capture(self) -> dict[str, Any]:
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": self._config.capture_percent,
            "DestinationS3Uri": f"s3://{self._names.bucket}/{self._names.capture_prefix.rstrip('/')}",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # AWS stores all other media types in base64.
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json", "application/jsonlines"]},
            **self._key(),
        }

    def _key(self) -> dict[str, str]:
        return {"KmsKeyId": self._config.kms_key} if self._config.kms_key else {}

    def _hardware(self) -> dict[str, Any]:
        config = self._config
        if config.mode == "serverless":
            limits = {"MemorySizeInMB": config.memory_mb, "MaxConcurrency": config.max_concurrency}
            return {"ServerlessConfig": limits}
        # Requests differ in length: an instance that is chosen at random may be the one with the longest queue.
        routing = {"RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}}
        return {
            **(routing if config.mode == "realtime" else {}),
            **self._instance_types(),
            "InitialInstanceCount": config.instances,
            "ContainerStartupHealthCheckTimeoutInSeconds": config.startup_seconds,
        }

    def _instance_types(self) -> dict[str, Any]:
        """Return the instance type, or the pools: AWS starts instances of the first type that it has."""
        if not self._config.instance_pools:
            return {"InstanceType": self._config.instance}
        pools = enumerate(self._config.instance_types, 1)
        return {"InstancePools": [{"InstanceType": one, "Priority": priority} for priority, one in pools]}


def _concurrent_requests(instance: str) -> int:
    """Return the number of requests that AWS should send to an instance at a time: one for each core."""
    return min(max(1, physical_cores(instance)), MOST_CONCURRENT_REQUESTS)
