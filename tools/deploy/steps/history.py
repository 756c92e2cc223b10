"""The earlier configurations of the endpoint, which stay so that `rollback` can return to them."""

from functools import cached_property
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.present_buckets import artifact_uri
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
        config, present = self._deployment.config, self.present
        if not present:
            raise ToolError(
                f"there is no endpoint {config.name} in {config.region}, so there is nothing to undo. A batch job has "
                "no rollback: start one with the earlier values by `up`"
            )
        if present not in self.configs:
            raise ToolError(
                f"the endpoint {config.name} has the configuration {present}, which this tool did not make: there is "
                "nothing to undo"
            )
        if not self.older:
            raise ToolError(f"{present} is the oldest configuration that is left: there is nothing to return to")
        return self.older[0]

    @cached_property
    def present(self) -> str:
        """The name of the endpoint's configuration, or "" without an endpoint."""
        endpoint = describe_endpoint(self._deployment)
        return str(endpoint["EndpointConfigName"]) if endpoint else ""

    @property
    def older(self) -> list[str]:
        """The names of our configurations that are older than the endpoint's, the newest first."""
        return self.configs[self.configs.index(self.present) + 1 :] if self.present in self.configs else []

    def note(self, config_name: str) -> str:
        """Return what `status` says beside a configuration: whether it is in use, or the next rollback's."""
        if config_name == self.present:
            return "in use"
        return "next rollback" if self.older[:1] == [config_name] else ""

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
        return any(f"{prefix}{key}".startswith(artifact_uri(model)) for model in self.kept_models)
