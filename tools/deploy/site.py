"""Where a deployment lives: the account, its names, its tags, and how to tell what is ours."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import urlsplit

from tools.deploy import package
from tools.deploy.config import OWNER_TAG, SERVERLESS_DISK_BYTES, Deployment, Variant
from tools.deploy.container_engine import ContainerEngine
from tools.errors import ToolError
from tools.remote.aws import Aws, AwsError

DIGEST_LENGTH = 12
# AWS needs a moment until it sees everywhere what was just made: CreateModel the role, CreateEndpoint the config.
NOT_YET = ("ssume", "Could not access model data", "Could not find endpoint config", "Could not find model")
NOT_YET_SECONDS = 60
POLL_SECONDS = 5
GONE = ("Could not find", "does not exist", "not found")  # SageMaker has no code for it: ValidationException
Say = Callable[[str], None]
Tags = Iterable[Mapping[str, Any]]


class Site:
    """One deployment in one account and region. Names follow from the configuration alone, so nothing is remembered."""

    def __init__(self, aws: Aws, config: Deployment, say: Say) -> None:
        self.aws = aws
        self.config = config
        self.say = say
        identity = aws.call("sts", "GetCallerIdentity")
        self.account: str = identity["Account"]
        self.partition: str = identity["Arn"].split(":")[1]
        self.bucket = config.bucket or f"{config.name}-{self.account}-{config.region}"
        self.prefix = f"{config.name}/"
        self.role_name = f"{config.name}-{config.region}"
        self.role_arn = config.role_arn or f"arn:{self.partition}:iam::{self.account}:role/{self.role_name}"
        self.tags = {**config.tags, OWNER_TAG: config.name}
        self.isolated = config.network_isolation and config.mode != "serverless"

    def patiently(self, operation: str, **request: Any) -> None:
        """A request to SageMaker, again while AWS does not see yet what the step before made.

        Raises: AwsError.
        """
        deadline = time.monotonic() + NOT_YET_SECONDS
        while True:
            try:
                self.aws.call("sagemaker", operation, **request)
                return
            except AwsError as error:
                if not any(text in error.message for text in NOT_YET) or time.monotonic() > deadline:
                    raise
                self.say(f"{operation}: AWS does not see yet what was just made ({error.message}); again in a moment")
                time.sleep(POLL_SECONDS)

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """The tags as most of AWS's APIs take them."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def is_ours(self, tags: Tags) -> bool:
        """Whether a resource with these tags belongs to this deployment."""
        found = {(tag.get("Key", tag.get("key")), tag.get("Value", tag.get("value"))) for tag in tags}
        return (OWNER_TAG, self.config.name) in found

    def alarm_name(self, variant: Variant) -> str:
        """Of a variant's 5xx."""
        return f"{self.config.name}-{variant.name}-5xx"

    def endpoint(self) -> dict[str, Any] | None:
        """DescribeEndpoint's answer."""
        name = self.config.name
        found: dict[str, Any] | None = self.aws.found("sagemaker", "DescribeEndpoint", GONE, EndpointName=name)
        return found

    def endpoint_is_foreign(self) -> bool:
        """Whether somebody else's endpoint has our name."""
        found = self.endpoint()
        return found is not None and not self.is_ours(self.sagemaker_tags(found["EndpointArn"]))

    def sagemaker_tags(self, arn: str) -> list[dict[str, str]]:
        """Tags of something of SageMaker's; none once it is gone."""
        found = self.aws.found("sagemaker", "ListTags", GONE, ResourceArn=arn)
        return list(found["Tags"]) if found else []

    def refuse(self, what: str) -> ToolError:
        """The error for a name that is taken by something that is not ours."""
        return ToolError(
            f"{what} exists and does not carry the tag {OWNER_TAG}={self.config.name}, so it is not touched: "
            "choose another --name, or remove it yourself"
        )

    def named(self, request: Mapping[str, Any], operation: str, label: str = "") -> str:
        """A name that changes with the request: SageMaker's models and endpoint configurations cannot be updated."""
        override = self.config.overrides.get(operation, {})
        digest = sha256(json.dumps([request, override], sort_keys=True, default=str).encode()).hexdigest()
        return "-".join(part for part in (self.config.name, label.lower(), digest[:DIGEST_LENGTH]) if part)

    def bucket_exists(self) -> bool:
        """Whether the bucket is there.

        Raises: ToolError where it is somebody else's: its default name can be guessed.
        """
        owner = {} if self.config.bucket else {"ExpectedBucketOwner": self.account}
        try:
            found = self.aws.found("s3", "HeadBucket", ("404", "NoSuchBucket"), Bucket=self.bucket, **owner)
        except AwsError as error:
            if error.code != "403":
                raise
            raise ToolError(
                f"{error}: the bucket {self.bucket} is another account's, or you may not list it (s3:ListBucket). "
                "Name another with --bucket"
            ) from None
        return found is not None

    @property
    def async_question_key(self) -> str:
        """Where the first question to an asynchronous endpoint lies for a moment."""
        return f"{self.prefix}async/question.json"

    @cached_property
    def contents(self) -> package.Contents:
        """The artifact's files.

        Raises: ToolError, also where they do not fit.
        """
        found = package.contents(self.config.model_dir)
        if self.config.mode == "serverless" and found.size_bytes > SERVERLESS_DISK_BYTES:
            raise ToolError(
                f"{self.config.model_dir} has {found.size_bytes / 1e9:.1f} GB; serverless has a disk of 5 GiB"
            )
        return found

    @property
    def artifact_prefix(self) -> str:
        """Under the bucket; changes with the artifact's contents."""
        return f"{self.prefix}{self.contents.digest[:DIGEST_LENGTH]}/"

    @property
    def artifact_keys(self) -> list[str]:
        """The S3 objects that hold the artifact."""
        if self.config.uncompressed:
            return [f"{self.artifact_prefix}model/{member.name}" for member in self.contents.members]
        return [f"{self.artifact_prefix}model.tar.gz"]

    @cached_property
    def engine(self) -> ContainerEngine:
        """docker or podman."""
        return ContainerEngine.find(self.config.engine)

    @cached_property
    def image_tag(self) -> str:
        """From the local image's id, so that a new image is a new tag."""
        return self.engine.image_id(self.config.image)[:DIGEST_LENGTH]

    @property
    def repository(self) -> str:
        """In ECR."""
        return self.config.name

    @cached_property
    def registry_token(self) -> dict[str, Any]:
        """ECR's word on the account's registry: its address, and who may push there for the next twelve hours."""
        token: dict[str, Any] = self.aws.call("ecr", "GetAuthorizationToken")["authorizationData"][0]
        return token

    @property
    def registry(self) -> str:
        """ECR's host; its domain differs by partition."""
        return urlsplit(str(self.registry_token["proxyEndpoint"])).netloc

    @property
    def image_uri(self) -> str:
        """What the model runs."""
        return self.config.image_uri or f"{self.registry}/{self.repository}:{self.image_tag}"

    def arn(self, service: str, resource: str) -> str:
        """Of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.config.region}:{self.account}:{resource}"


class Resource:
    """Something in the account that carries our tag; remove() deletes it."""

    def __init__(self, kind: str, name: str, remove: Callable[[], object], note: str = "") -> None:
        self.kind = kind
        self.name = name
        self.remove = remove
        self.note = note

    def __str__(self) -> str:
        return f"{self.kind} {self.name}{f' ({self.note})' if self.note else ''}"


class Step(Protocol):
    """One part of a deployment. Every member may raise ToolError."""

    title: str

    def change(self) -> str | None:
        """What apply would do, in words; None where all is as it should be. Changes nothing."""

    def apply(self) -> None:
        """Make it so; safe to call again after any failure."""

    def resources(self) -> list[Resource]:
        """What exists of it and is ours."""
