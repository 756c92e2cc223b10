"""The earlier configurations of the endpoint, which stay so that `rollback` can return to them."""

from functools import cached_property
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.endpoint_state import describe_endpoint
from tools.errors import ToolError


class History:
    """Our endpoint configurations, the newest first, and what those need that stay after an update."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._aws = deployment.aws

    @cached_property
    def configs(self) -> list[str]:
        """The names of all our endpoint configurations."""
        listed = sorted(EndpointConfigStep(self._deployment).list_ours(), key=lambda one: one["CreationTime"])
        return [one["EndpointConfigName"] for one in reversed(listed)]

    @property
    def previous(self) -> str:
        """The newest configuration that is older than the endpoint's.

        Raises: ToolError if there is no endpoint, or no older configuration.
        """
        endpoint = describe_endpoint(self._deployment)
        present = endpoint["EndpointConfigName"] if endpoint else ""
        if present not in self.configs:
            name = self._deployment.config.name
            raise ToolError(f"{name} is no endpoint that this tool made: there is nothing to undo")
        older = self.configs[self.configs.index(present) + 1 :]
        if not older:
            raise ToolError(f"{present} is the oldest configuration that is left: there is nothing to return to")
        return older[0]

    @cached_property
    def kept(self) -> list[dict[str, Any]]:
        """DescribeEndpointConfig's responses for the earlier configurations that stay, as many as `keep` says."""
        wanted = EndpointConfigStep(self._deployment).config_name()
        earlier = [name for name in self.configs if name != wanted][: self._deployment.config.keep]
        return [self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name) for name in earlier]

    @cached_property
    def kept_models(self) -> list[dict[str, Any]]:
        """DescribeModel's responses for the models of these configurations."""
        names = {variant["ModelName"] for config in self.kept for variant in config["ProductionVariants"]}
        found = (self._aws.find("sagemaker", "DescribeModel", ("Could not find",), ModelName=name) for name in names)
        return [dict(model) for model in found if model]

    def needs_key(self, key: str) -> bool:
        """Return whether a kept model was made of the object with this key."""
        prefix = f"s3://{self._deployment.names.bucket}/"
        return any(f"{prefix}{key}".startswith(_artifact_uri(model)) for model in self.kept_models)


def _artifact_uri(model: dict[str, Any]) -> str:
    container = model["PrimaryContainer"]
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return str(container.get("ModelDataUrl") or source["S3Uri"])
