"""The step for the ECR repository."""

from typing import Any

from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.step import Step

NO_REPOSITORY = ("RepositoryNotFoundException",)


class RepositoryStep(Step):
    """Creates the repository for the image, unless the configuration names an image that is already in ECR."""

    title = "repository"

    def change(self) -> str | None:
        """Describe the change if the repository is needed and missing."""
        if self._config.image_uri or self._find():
            return None
        return f"create the ECR repository {self._names.repository}"

    def apply(self) -> None:
        """Create the repository.

        Raises: ToolError if a repository of this name exists and is not ours.
        """
        if self._config.image_uri:
            return
        if self._find() is None:
            self._aws.call(
                "ecr",
                "CreateRepository",
                repositoryName=self._names.repository,
                imageScanningConfiguration={"scanOnPush": True},
                tags=self._deployment.tag_list,
            )
        elif not self.resources():
            raise self._ownership.foreign_error(f"the ECR repository {self._names.repository}")

    def resources(self) -> list[OwnedResource]:
        """List the repository if it is ours. It is removed with all its images."""
        repository = self._find()
        if repository is None:
            return []
        tags = self._aws.call("ecr", "ListTagsForResource", resourceArn=repository["repositoryArn"])["tags"]
        if not self._ownership.is_ours(tags):
            return []
        return [OwnedResource("ECR repository", self._names.repository, self._remove, "with its images")]

    def _find(self) -> dict[str, Any] | None:
        names = [self._names.repository]
        response = self._aws.find("ecr", "DescribeRepositories", NO_REPOSITORY, repositoryNames=names)
        return response["repositories"][0] if response else None

    def _remove(self) -> None:
        self._aws.call("ecr", "DeleteRepository", repositoryName=self._names.repository, force=True)
