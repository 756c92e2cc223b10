"""What every step receives: the AWS account, the configuration, the names, the artifact and the image."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from tools.deploy import package
from tools.deploy.config import SERVERLESS_DISK_BYTES, DeploymentConfig
from tools.deploy.container_image.inference_image import InferenceImage
from tools.deploy.names import Names
from tools.deploy.ownership import Ownership
from tools.deploy.tags import as_tag_list, deployment_tags
from tools.errors import ToolError
from tools.remote.aws import Aws


class Deployment:
    """One deployment in one AWS account and region. `report` shows a line of progress to the user."""

    def __init__(
        self, aws: Aws, config: DeploymentConfig, report: Callable[[str], None], caller: dict[str, Any] | None = None
    ) -> None:
        """caller: GetCallerIdentity's response, if it is known already."""
        self.aws = aws
        self.config = config
        self.report = report
        self._caller = caller or aws.call("sts", "GetCallerIdentity")
        self.account: str = self._caller["Account"]
        self.caller_arn: str = self._caller["Arn"]
        self.names = Names(config, self.account, partition=self.caller_arn.split(":")[1])
        self.ownership = Ownership(aws, config.name)
        self.image = InferenceImage(aws, config, self.names.repository)
        self.tags = deployment_tags(config.name, config.tags)
        self.tag_list = as_tag_list(self.tags)

    def with_values(self, **values: Any) -> "Deployment":
        """Return the same deployment with other values of the configuration."""
        return Deployment(self.aws, self.config.model_copy(update=values), self.report, self._caller)

    @property
    def down_command(self) -> str:
        """The command that removes the deployment."""
        config = self.config
        bucket = f" --bucket {config.bucket}" if config.bucket else ""
        return f"python -m tools.deploy down --name {config.name} --region {config.region}{bucket}"

    @cached_property
    def artifact(self) -> package.ArtifactContents:
        """The files of the artifact.

        Raises: ToolError if the directory holds no complete artifact, or if the artifact is too large for the mode.
        """
        contents = package.read_contents(self.config.model_dir)
        if self.config.mode == "serverless" and contents.size_bytes > SERVERLESS_DISK_BYTES:
            raise ToolError(
                f"{self.config.model_dir} has {contents.size_bytes / 1e9:.1f} GB, and a serverless endpoint has a disk "
                "of 5 GiB: choose another --mode"
            )
        return contents

    @property
    def artifact_prefix(self) -> str:
        """The beginning of the keys of the S3 objects that hold the artifact."""
        return self.names.artifact_prefix(self.artifact.digest)

    @property
    def target_model(self) -> str:
        """The name of the artifact on a multi-model endpoint, for InvokeEndpoint's TargetModel."""
        return self.names.target_model(self.config.model_dir, self.artifact.digest)

    @property
    def artifact_keys(self) -> list[str]:
        """The keys of the S3 objects that hold the artifact."""
        if self.config.mode == "multi-model":
            return [f"{self.names.models_prefix}{self.target_model}"]
        if self.config.uncompressed:
            return [f"{self.artifact_prefix}model/{file.name}" for file in self.artifact.files]
        return [f"{self.artifact_prefix}model.tar.gz"]
