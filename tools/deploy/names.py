"""The names of everything that a deployment creates."""

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from container.precision import PRECISIONS
from tools.deploy.config import DeploymentConfig
from tools.deploy.variants import WHOLE_VARIANT, Variant

DIGEST_LENGTH = 12


class Names:
    """The names of one deployment's resources.

    All names follow from the configuration and the account, so nothing has to be remembered between two commands.
    """

    def __init__(self, config: DeploymentConfig, account: str, partition: str) -> None:
        self._config = config
        self.account = account
        self.partition = partition
        self.bucket = config.bucket or f"{config.name}-{account}-{config.region}"
        self.key_prefix = f"{config.name}/"
        self.async_prefix = f"{self.key_prefix}async/"
        self.models_prefix = f"{self.key_prefix}models/"
        self.capture_prefix = f"{self.key_prefix}capture/"
        self.async_question_key = f"{self.async_prefix}question.json"
        self.scaling_prefix = f"endpoint/{config.name}/variant/"
        self.wake_policy = f"{config.name}-wake"
        self.wake_alarm = f"{config.name}-backlog"
        self.dashboard = f"{config.name}-dashboard-{config.region}"  # dashboards of all regions have one list
        self.dashboard_arn = f"arn:{partition}:cloudwatch::{account}:dashboard/{self.dashboard}"
        self.repository = config.name
        self.role = f"{config.name}-{config.region}"
        self.role_arn = config.role_arn or f"arn:{partition}:iam::{account}:role{config.role_path}{self.role}"

    def artifact_prefix(self, digest: str) -> str:
        """Return the beginning of the artifact's keys in the bucket. The prefix changes with the artifact's content."""
        return f"{self.key_prefix}{digest[:DIGEST_LENGTH]}/"

    def target_model(self, model_dir: Path, digest: str) -> str:
        """Return the name of an artifact on a multi-model endpoint, by the folder's name and the content."""
        return f"{model_dir.resolve().name}-{digest[:DIGEST_LENGTH]}.tar.gz"

    def alarm(self, variant: Variant) -> str:
        """Return the name of the alarm on a variant's 5xx answers."""
        return f"{self._config.name}-{variant.name}-5xx"

    def scaling_target(self, variant_name: str) -> str:
        """Return the id by which Application Auto Scaling knows a variant."""
        return f"{self.scaling_prefix}{variant_name}"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the deployment's account and region."""
        return f"arn:{self.partition}:{service}:{self._config.region}:{self.account}:{resource}"

    def s3_arn(self, path: str) -> str:
        """Return the ARN of a bucket, or of the objects of a bucket."""
        return f"arn:{self.partition}:s3:::{path}"

    def is_versioned(self, name: str) -> bool:
        """Return whether `versioned` may have made this name, or this name with the number of a further attempt."""
        labels = "|".join(PRECISIONS).lower()
        pattern = rf"{self._config.name}-(({labels})-)?[0-9a-f]{{{DIGEST_LENGTH}}}(-[0-9]+)?"
        return re.fullmatch(pattern, name) is not None

    def is_alarm(self, name: str) -> bool:
        """Return whether `alarm` may have made this name."""
        variants = "|".join((WHOLE_VARIANT, *PRECISIONS))
        return re.fullmatch(rf"{self._config.name}-({variants})-5xx", name) is not None

    def is_artifact_key(self, key: str) -> bool:
        """Return whether a key is one of an artifact, or the first question of an asynchronous endpoint."""
        digest = rf"[0-9a-f]{{{DIGEST_LENGTH}}}"
        pattern = rf"{self.key_prefix}{digest}/.*|{self.models_prefix}[^/]+-{digest}\.tar\.gz"
        return key == self.async_question_key or re.fullmatch(pattern, key, re.DOTALL) is not None

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
