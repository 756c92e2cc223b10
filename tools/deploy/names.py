"""The names of everything that a deployment creates."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tools.deploy.config import DeploymentConfig, Variant

DIGEST_LENGTH = 12


class Names:
    """The names of one deployment's resources.

    All names follow from the configuration and the account, so nothing has to be remembered between two commands.
    """

    def __init__(self, config: DeploymentConfig, account: str, partition: str) -> None:
        self._config = config
        self._account = account
        self.partition = partition
        self.bucket = config.bucket or f"{config.name}-{account}-{config.region}"
        self.key_prefix = f"{config.name}/"
        self.async_prefix = f"{self.key_prefix}async/"
        self.async_question_key = f"{self.async_prefix}question.json"
        self.scaling_prefix = f"endpoint/{config.name}/variant/"
        self.repository = config.name
        self.role = f"{config.name}-{config.region}"
        self.role_arn = config.role_arn or f"arn:{partition}:iam::{account}:role/{self.role}"

    def artifact_prefix(self, digest: str) -> str:
        """Return the beginning of the artifact's keys in the bucket. The prefix changes with the artifact's content."""
        return f"{self.key_prefix}{digest[:DIGEST_LENGTH]}/"

    def alarm(self, variant: Variant) -> str:
        """Return the name of the alarm on a variant's 5xx answers."""
        return f"{self._config.name}-{variant.name}-5xx"

    def scaling_target(self, variant_name: str) -> str:
        """Return the id by which Application Auto Scaling knows a variant."""
        return f"{self.scaling_prefix}{variant_name}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the deployment's account and region."""
        return f"arn:{self.partition}:{service}:{self._config.region}:{self._account}:{resource}"

    def s3_arn(self, path: str) -> str:
        """Return the ARN of a bucket, or of the objects of a bucket."""
        return f"arn:{self.partition}:s3:::{path}"

    def versioned(self, request: Mapping[str, Any], operation: str, label: str = "") -> str:
        """Return a name that changes with the request, for resources that cannot be updated.

        Args:
            request: the parameters of the operation that creates the resource.
            operation: the operation, whose overrides in the configuration also change the name.
            label: a part of the name for human readers.
        """
        overrides = self._config.overrides.get(operation, {})
        digest = sha256(json.dumps([request, overrides], sort_keys=True, default=str).encode()).hexdigest()
        return "-".join(part for part in (self._config.name, label.lower(), digest[:DIGEST_LENGTH]) if part)
