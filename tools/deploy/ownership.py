"""The rule for what a deployment may change and remove: only resources that carry its owner tag."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tools.deploy.tags import OWNER_TAG, has_owner_tag
from tools.errors import ToolError
from tools.remote.aws import SAGEMAKER_NOT_FOUND, Aws


class ResourceKept(ToolError):
    """A resource is not removed, because it holds something that the deployment did not create."""


class OwnedResource:
    """A resource in the account that belongs to the deployment. `remove` deletes it."""

    def __init__(self, kind: str, name: str, remove: Callable[[], object], note: str = "") -> None:
        self.kind = kind
        self.name = name
        self.remove = remove
        self.note = note

    def __str__(self) -> str:
        return f"{self.kind} {self.name}{f' ({self.note})' if self.note else ''}"


class Ownership:
    """Tells the resources of one deployment from those of others, which may have similar names.

    In all steps, "our" resources are those that carry the deployment's owner tag.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self._name = name

    def is_ours(self, tag_list: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether a resource with these tags belongs to the deployment."""
        return has_owner_tag(tag_list, self._name)

    def is_our_sagemaker_resource(self, arn: str) -> bool:
        """Return whether a resource of SageMaker exists and belongs to the deployment."""
        response = self._aws.find("sagemaker", "ListTags", SAGEMAKER_NOT_FOUND, ResourceArn=arn)
        return response is not None and self.is_ours(response["Tags"])

    def foreign_error(self, resource: str) -> ToolError:
        """Return the error for a resource that has a name of the deployment but does not belong to it."""
        return ToolError(
            f"{resource} exists and does not carry the tag {OWNER_TAG}={self._name}, so it is left alone: "
            "choose another --name, or remove it yourself"
        )
