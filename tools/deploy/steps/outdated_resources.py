"""The step that removes what updates leave behind."""

from collections.abc import Iterator, Sequence
from functools import partial

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps.history import History
from tools.deploy.steps.preparation.artifact import ArtifactStep, delete_objects
from tools.deploy.steps.preparation.named_resources import DENIED
from tools.deploy.steps.present_buckets import views_by_bucket
from tools.deploy.steps.step import Step
from tools.remote.aws import AwsError


class OutdatedResourcesStep(Step):
    """Removes models, configurations, alarms, permissions and artifacts that nothing uses.

    What the last configurations need stays, so that `rollback` can return to them.
    """

    title = "outdated resources"

    def __init__(self, deployment: Deployment, other_steps: Sequence[Step]) -> None:
        super().__init__(deployment)
        self._other_steps = other_steps

    def is_needed(self) -> bool:
        """Return whether the mode has an endpoint."""
        return self._config.has_endpoint

    def change(self) -> str | None:
        """Name the outdated resources. Before an update, these are resources that the endpoint still uses."""
        outdated = self._outdated()
        return f"remove {', '.join(map(str, outdated))}" if outdated else None

    def apply(self) -> None:
        """Remove the outdated resources."""
        for resource in self._outdated():
            resource.remove()

    def _outdated(self) -> list[OwnedResource]:
        outdated = [resource for step in reversed(self._other_steps) for resource in step.outdated_resources()]
        history = History(self._deployment)
        elsewhere = list(self._in_other_buckets(history))
        if not outdated:
            return elsewhere
        kept = {one["EndpointConfigName"] for one in history.kept} | {one["ModelName"] for one in history.kept_models}
        if kept:  # The role needs the permissions of the kept configurations.
            kept.add(self._names.role)
        bucket = self._names.bucket
        left = [one for one in outdated if one.name not in kept and not history.needs_object(bucket, one.name)]
        return [*elsewhere, *left]  # Only the models name the other buckets, so the models go last.

    def _in_other_buckets(self, history: History) -> Iterator[OwnedResource]:
        """Yield our objects in buckets of earlier configurations, but not the archives of a multi-model endpoint."""
        for view in list(views_by_bucket(self._deployment))[1:]:
            bucket = view.names.bucket
            try:
                keys = ArtifactStep(view).our_keys()
            except AwsError as error:
                if error.code not in DENIED:
                    raise
                continue
            for key in keys:
                if not key.startswith(self._names.models_prefix) and not history.needs_object(bucket, key):
                    yield OwnedResource("S3 object", f"s3://{bucket}/{key}", partial(delete_objects, view, [key]))
