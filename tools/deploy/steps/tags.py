"""The step that brings changed tags to resources that exist already."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tools.deploy.steps.monitoring import dashboard
from tools.deploy.steps.monitoring.monitoring import MonitoringStep
from tools.deploy.steps.preparation.artifact import ArtifactStep
from tools.deploy.steps.preparation.bucket import BucketStep
from tools.deploy.steps.preparation.repository import RepositoryStep
from tools.deploy.steps.preparation.role import RoleStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.endpoint_state import describe_endpoint
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.serving.rollback_alarm import RollbackAlarmStep
from tools.deploy.steps.serving.scaling import ScalingStep
from tools.deploy.steps.step import Step
from tools.deploy.tags import as_tag_list, object_tags

_SCALING = "application-autoscaling"


@dataclass(frozen=True)
class TaggedResource:
    """A resource with its present tags. `put` sets tags, and `limit` chooses those that the resource can have."""

    name: str
    present: Mapping[str, str]
    put: Callable[[dict[str, str]], object]
    limit: Callable[[Mapping[str, str]], dict[str, str]] = dict


class TagsStep(Step):
    """Adds the tags of the configuration to our resources, and changes their values.

    A tag that the configuration does not name any more stays.
    """

    title = "tags"

    def change(self) -> str | None:
        """Name the resources whose tags differ."""
        names = [resource.name for resource, _ in self._outdated()]
        return f"set the tags of {', '.join(names)}" if names else None

    def apply(self) -> None:
        """Set the tags that differ."""
        for resource, tags in self._outdated():
            resource.put(tags)

    def _outdated(self) -> Iterator[tuple[TaggedResource, dict[str, str]]]:
        """Yield each resource whose tags differ, with all tags that it should have."""
        tags = self._deployment.tags
        for resource in (*self._preparation(), *self._sagemaker(), *self._scaling_and_alarms()):
            kept = {key: value for key, value in resource.present.items() if key not in tags}
            wanted = resource.limit({**tags, **kept})
            if wanted != resource.present and self._ownership.is_ours(as_tag_list(resource.present)):
                yield resource, wanted

    def _preparation(self) -> Iterator[TaggedResource]:
        names, call = self._names, self._aws.call
        if BucketStep(self._deployment).resources():
            tags = call("s3", "GetBucketTagging", Bucket=names.bucket)["TagSet"]
            yield TaggedResource(f"bucket {names.bucket}", _as_dict(tags), self._tag_bucket)
        for key in ArtifactStep(self._deployment).our_keys():
            tags = call("s3", "GetObjectTagging", Bucket=names.bucket, Key=key)["TagSet"]
            yield TaggedResource(f"object {key}", _as_dict(tags), partial(self._tag_object, key), object_tags)
        if RepositoryStep(self._deployment).resources():
            arn = names.arn("ecr", f"repository/{names.repository}")
            tags = call("ecr", "ListTagsForResource", resourceArn=arn)["tags"]
            put = partial(self._put_list, "ecr", "TagResource", "tags", resourceArn=arn)
            yield TaggedResource(f"repository {names.repository}", _as_dict(tags), put)
        if RoleStep(self._deployment).resources():
            tags = call("iam", "GetRole", RoleName=names.role)["Role"].get("Tags", [])
            put = partial(self._put_list, "iam", "TagRole", "Tags", RoleName=names.role)
            yield TaggedResource(f"role {names.role}", _as_dict(tags), put)

    def _sagemaker(self) -> Iterator[TaggedResource]:
        arns = [one["ModelArn"] for one in ModelsStep(self._deployment).list_ours()]
        if self._config.has_endpoint:
            arns += [one["EndpointConfigArn"] for one in EndpointConfigStep(self._deployment).list_ours()]
            endpoint = describe_endpoint(self._deployment)
            arns += [endpoint["EndpointArn"]] if endpoint else []
        for arn in arns:
            tags = self._aws.call("sagemaker", "ListTags", ResourceArn=arn)["Tags"]
            put = partial(self._put_list, "sagemaker", "AddTags", "Tags", ResourceArn=arn)
            yield TaggedResource(arn.rpartition(":")[2], _as_dict(tags), put)

    def _scaling_and_alarms(self) -> Iterator[TaggedResource]:
        scaling = ScalingStep(self._deployment)
        for name, arn in scaling.target_arns().items():
            present = self._aws.call(_SCALING, "ListTagsForResource", ResourceARN=arn)["Tags"]
            yield TaggedResource(f"scaling of {name}", present, partial(self._tag_target, arn))
        monitoring = MonitoringStep(self._deployment).resources()
        resources = [*RollbackAlarmStep(self._deployment).resources(), *monitoring, *scaling.resources()]
        for name in (one.name for one in resources if one.kind == "alarm"):
            arn = self._names.arn("cloudwatch", f"alarm:{name}")
            tags = self._aws.call("cloudwatch", "ListTagsForResource", ResourceARN=arn)["Tags"]
            put = partial(self._put_list, "cloudwatch", "TagResource", "Tags", ResourceARN=arn)
            yield TaggedResource(f"alarm {name}", _as_dict(tags), put)
        if any(one.kind == dashboard.KIND for one in monitoring):
            found = dashboard.Dashboard(self._deployment)
            put = partial(self._put_list, "cloudwatch", "TagResource", "Tags", ResourceARN=found.arn)
            yield TaggedResource(f"dashboard {found.name}", _as_dict(found.tags()), put)

    def _tag_bucket(self, tags: dict[str, str]) -> None:
        tagging = {"TagSet": as_tag_list(tags)}
        self._aws.call("s3", "PutBucketTagging", Bucket=self._names.bucket, Tagging=tagging)

    def _tag_object(self, key: str, tags: dict[str, str]) -> None:
        tagging = {"TagSet": as_tag_list(tags)}
        self._aws.call("s3", "PutObjectTagging", Bucket=self._names.bucket, Key=key, Tagging=tagging)

    def _tag_target(self, arn: str, tags: dict[str, str]) -> None:
        self._aws.call(_SCALING, "TagResource", ResourceARN=arn, Tags=tags)

    def _put_list(self, service: str, operation: str, field: str, tags: dict[str, str], **resource: str) -> None:
        self._aws.call(service, operation, **resource, **{field: as_tag_list(tags)})


def _as_dict(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags}
