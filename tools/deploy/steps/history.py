"""The earlier configurations of the endpoint, which stay so that `rollback` can return to them."""

from functools import cached_property
from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.present_buckets import artifact_uri
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.endpoint_state import describe_endpoint
from tools.deploy.tags import HISTORY_TAG
from tools.errors import ToolError

MOST_REMEMBERED = 12  # `keep` is at most 10. AWS's limit for the value of a tag is 256 characters.


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
        """The configuration that the endpoint had before its present one, to which `rollback` goes.

        Raises: ToolError if there is no endpoint, or no earlier configuration.
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
    def _endpoint(self) -> dict[str, Any]:
        return describe_endpoint(self._deployment) or {}

    @property
    def present(self) -> str:
        """The name of the endpoint's configuration, or "" without an endpoint."""
        return str(self._endpoint.get("EndpointConfigName", ""))

    @cached_property
    def older(self) -> list[str]:
        """The names of our configurations that the endpoint had before its present one, the last one first.

        A tag of the endpoint has this order, because a configuration can be used again. Without the tag, or if another
        program has moved the endpoint, these are the configurations that were made before the present one.
        """
        if self.present not in self.configs:
            return []
        tagged = self._tagged()
        order = tagged if self.present in tagged else self.configs
        return [name for name in order[order.index(self.present) + 1 :] if name in self.configs]

    def remember(self, wanted: str) -> None:
        """Store in the tag that the endpoint moves from its present configuration to this one."""
        if self.present not in self.configs:
            return
        order = [wanted, *(name for name in (self.present, *self.older) if name != wanted)][:MOST_REMEMBERED]
        value = " ".join(name.removeprefix(f"{self._deployment.config.name}-") for name in order)
        tags = [{"Key": HISTORY_TAG, "Value": value}]
        self._aws.call("sagemaker", "AddTags", ResourceArn=self._endpoint["EndpointArn"], Tags=tags)

    def _tagged(self) -> list[str]:
        tags = self._aws.call("sagemaker", "ListTags", ResourceArn=self._endpoint["EndpointArn"])["Tags"]
        value = {tag["Key"]: tag["Value"] for tag in tags}.get(HISTORY_TAG, "")
        return [f"{self._deployment.config.name}-{rest}" for rest in value.split()]

    def note(self, config_name: str) -> str:
        """Return what `status` says beside a configuration: whether it is in use, or the next rollback's."""
        if config_name == self.present:
            return "in use"
        return "next rollback" if self.older[:1] == [config_name] else ""

    @cached_property
    def kept(self) -> list[dict[str, Any]]:
        """DescribeEndpointConfig's responses for the earlier configurations that stay, as many as `keep` says."""
        wanted = EndpointConfigStep(self._deployment).config_name()
        # Those to which `rollback` would go come first, and then the newest ones.
        order = dict.fromkeys(name for name in (self.present, *self.older, *self.configs) if name in self.configs)
        earlier = [name for name in order if name != wanted][: self._deployment.config.keep]
        return [self._aws.call("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name) for name in earlier]

    @cached_property
    def kept_models(self) -> list[dict[str, Any]]:
        """DescribeModel's responses for the models of these configurations."""
        names = {variant["ModelName"] for config in self.kept for variant in config["ProductionVariants"]}
        found = (self._aws.find("sagemaker", "DescribeModel", ("Could not find",), ModelName=name) for name in names)
        return [dict(model) for model in found if model]

    def needs_object(self, bucket: str, key: str) -> bool:
        """Return whether a kept model was made of this object."""
        return any(f"s3://{bucket}/{key}".startswith(artifact_uri(model)) for model in self.kept_models)
