"""Steps for what SageMaker never changes once it is made: models, and the endpoint's configuration."""

from typing import Any

from tools.deploy.config import Variant
from tools.deploy.site import GONE, Resource, Site
from tools.errors import ToolError
from tools.remote.aws import AwsError


class Immutable:
    """Models and endpoint configurations: a new request is a new name; old ones go when nothing uses them."""

    title: str
    kind: str  # Model, EndpointConfig

    def __init__(self, site: Site) -> None:
        self._site = site

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to request."""
        raise NotImplementedError

    def change(self) -> str | None:
        """What is missing."""
        missing = [name for name in self.requests() if not self._exists(name)]
        return f"create {', '.join(missing)}" if missing else None

    def apply(self) -> None:
        """Create what is missing."""
        for name, request in self.requests().items():
            if not self._exists(name):
                self._create({f"{self.kind}Name": name, **request, "Tags": self._site.tag_list})

    def resources(self) -> list[Resource]:
        """All of ours, of earlier artifacts too."""
        aws, key = self._site.aws, f"{self.kind}Name"
        listed = aws.pages("sagemaker", f"List{self.kind}s", f"{self.kind}s", NameContains=self._site.config.name)
        return [
            Resource(self.title, one[key], lambda name=one[key]: self._delete(name))  # type: ignore[misc]
            for one in listed
            if self._site.is_ours(self._site.sagemaker_tags(one[f"{self.kind}Arn"]))
        ]

    def retire(self) -> list[Resource]:
        """Those of ours that the configuration no longer names."""
        wanted = self.requests()
        return [one for one in self.resources() if one.name not in wanted]

    def _exists(self, name: str) -> bool:
        return self._site.aws.found("sagemaker", f"Describe{self.kind}", GONE, **{f"{self.kind}Name": name}) is not None

    def _delete(self, name: str) -> None:
        self._site.aws.call("sagemaker", f"Delete{self.kind}", **{f"{self.kind}Name": name})

    def _create(self, request: dict[str, Any]) -> None:
        try:
            self._site.patiently(f"Create{self.kind}", **request)
        except AwsError as error:
            if "manifest media type" not in error.message:
                raise
            raise ToolError(
                f"{error}. SageMaker takes docker's format of images, not OCI's: build it again with `make image`, or "
                "`docker build --provenance=false --output type=docker -t IMAGE .`"
            ) from None


class Models(Immutable):
    """One for each variant."""

    title, kind = "model", "Model"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to CreateModel."""
        return {self.name(variant): self._request(variant) for variant in self._site.config.variants}

    def name(self, variant: Variant) -> str:
        """Of a variant's model."""
        return self._site.named(self._request(variant), "CreateModel", variant.precision or "")

    def _request(self, variant: Variant) -> dict[str, Any]:
        site = self._site
        environment = dict(site.config.environment)
        if variant.precision:
            environment["PRECISIONS"] = variant.precision
        prefix = f"s3://{site.bucket}/{site.artifact_prefix}"
        source = {"S3Uri": f"{prefix}model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        data: dict[str, Any] = {"ModelDataUrl": f"{prefix}model.tar.gz"}
        if site.config.uncompressed:
            data = {"ModelDataSource": {"S3DataSource": source}}
        return {
            "ExecutionRoleArn": site.role_arn,
            "PrimaryContainer": {"Image": site.image_uri, "Environment": environment, **data},
            "EnableNetworkIsolation": site.isolated,
        }


class EndpointConfig(Immutable):
    """The variants, and what they run on."""

    title, kind = "endpoint configuration", "EndpointConfig"

    def requests(self) -> dict[str, dict[str, Any]]:
        """Name to CreateEndpointConfig."""
        site, models = self._site, Models(self._site)
        request: dict[str, Any] = {
            "ProductionVariants": [
                {
                    "VariantName": variant.name,
                    "ModelName": models.name(variant),
                    "InitialVariantWeight": variant.weight,
                    **self._hardware(),
                }
                for variant in site.config.variants
            ]
        }
        if site.config.mode == "async":
            where = f"s3://{site.bucket}/{site.prefix}async"
            output = {"S3OutputPath": f"{where}/output/", "S3FailurePath": f"{where}/failure/"}
            request["AsyncInferenceConfig"] = {"OutputConfig": output}
        return {site.named(request, "CreateEndpointConfig"): request}

    def _hardware(self) -> dict[str, Any]:
        config = self._site.config
        if config.mode == "serverless":
            limits = {"MemorySizeInMB": config.memory_mb, "MaxConcurrency": config.max_concurrency}
            return {"ServerlessConfig": limits}
        return {
            "InstanceType": config.instance,
            "InitialInstanceCount": config.instances,
            "ContainerStartupHealthCheckTimeoutInSeconds": config.startup_seconds,
        }
