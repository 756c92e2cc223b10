"""The base of the steps for models and endpoint configurations, which SageMaker cannot update."""

from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

from tools.deploy.ownership import OwnedResource
from tools.deploy.retry import call_with_retry
from tools.deploy.steps.preparation.image_format import REMEDY
from tools.deploy.steps.step import Step
from tools.errors import ToolError
from tools.remote.aws import SAGEMAKER_NOT_FOUND, AwsError


class VersionedStep(Step):
    """Creates a new resource for each new request. Resources that nothing uses any longer are removed at the end."""

    api_name: ClassVar[str]  # the name in operations of SageMaker's API, such as Model in CreateModel
    kind: ClassVar[str]  # the word for one such resource in the output

    @abstractmethod
    def requests(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of the operation that creates each resource, by the resource's name."""

    def change(self) -> str | None:
        """Name the resources that are missing.

        Raises: AwsError if a request for one of them has parameters that AWS's API does not have.
        """
        requests = self.requests()
        missing = [name for name in requests if not self._exists(name)]
        for name in missing:
            self._aws.check("sagemaker", f"Create{self.api_name}", **{f"{self.api_name}Name": name}, **requests[name])
        return f"create {', '.join(missing)}" if missing else None

    def apply(self) -> None:
        """Create the resources that are missing."""
        for name, request in self.requests().items():
            if not self._exists(name):
                self._create({f"{self.api_name}Name": name, **request, "Tags": self._deployment.tag_list})

    def resources(self) -> list[OwnedResource]:
        """List all our resources, also those of earlier requests.

        AWS lists what contains the name. Only names that this step gives are looked at, because the caller may not be
        allowed to read the tags of others.
        """
        names = [one[f"{self.api_name}Name"] for one in self.list_ours()]
        return [OwnedResource(self.kind, name, partial(self._delete, name)) for name in names]

    def list_ours(self) -> list[dict[str, Any]]:
        """Return AWS's summaries of all our resources."""
        name, arn = f"{self.api_name}Name", f"{self.api_name}Arn"
        listed = self._aws.list_all(
            "sagemaker", f"List{self.api_name}s", f"{self.api_name}s", NameContains=self._config.name
        )
        return [
            one
            for one in listed
            if self._names.is_versioned(one[name]) and self._ownership.is_our_sagemaker_resource(one[arn])
        ]

    def outdated_resources(self) -> list[OwnedResource]:
        """List our resources that the present configuration does not use."""
        wanted = self.requests()
        return [resource for resource in self.resources() if resource.name not in wanted]

    def _exists(self, name: str) -> bool:
        parameters = {f"{self.api_name}Name": name}
        return self._aws.find("sagemaker", f"Describe{self.api_name}", SAGEMAKER_NOT_FOUND, **parameters) is not None

    def _delete(self, name: str) -> None:
        self._aws.call("sagemaker", f"Delete{self.api_name}", **{f"{self.api_name}Name": name})

    def _create(self, request: dict[str, Any]) -> None:
        try:
            call_with_retry(self._deployment, "sagemaker", f"Create{self.api_name}", request)
        except AwsError as error:
            if "manifest media type" not in error.message:
                raise
            raise ToolError(f"{error}. {REMEDY}") from None
