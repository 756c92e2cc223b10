"""What the commands plan, up, rollback, status and down do with the steps of a deployment."""

from collections.abc import Iterator

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource, ResourceKept
from tools.deploy.steps import all_steps
from tools.deploy.steps.history import History
from tools.deploy.steps.preparation.artifact import ArtifactStep, delete_objects
from tools.deploy.steps.preparation.bucket import BucketStep
from tools.deploy.steps.preparation.mode import present_mode
from tools.deploy.steps.preparation.named_resources import DENIED
from tools.deploy.steps.present_buckets import views_by_bucket
from tools.deploy.steps.serving.batch_transform import BatchTransformStep
from tools.deploy.steps.serving.endpoint import EndpointStep
from tools.deploy.steps.serving.endpoint_config import EndpointConfigStep
from tools.deploy.steps.serving.models import ModelsStep
from tools.deploy.steps.undo_advice import NOTHING_CHANGED, UndoAdvice
from tools.errors import ToolError
from tools.remote.aws import AwsError


def planned_changes(deployment: Deployment) -> list[tuple[str, str | None]]:
    """Return the title of each step, and what `up` would change, or None if the step is up to date.

    Raises: ToolError, also if `up` could not make a change.
    """
    return [(step.title, step.change()) for step in all_steps(deployment) if step.is_needed()]


def up(deployment: Deployment) -> None:
    """Run every step in order.

    Raises: ToolError, which names the step, AWS's answer, what exists now, and how to continue or undo.
    """
    steps = [step for step in all_steps(deployment) if step.is_needed()]
    advice: UndoAdvice | None = None
    for number, step in enumerate(steps, 1):
        position = f"step {number} of {len(steps)}, {step.title}"
        try:
            advice = advice if step.only_checks else advice or UndoAdvice(deployment)
            deployment.report(f"{position}: {step.change() or 'up to date'}")
            step.apply()
        except ToolError as error:
            if advice is None:
                raise ToolError(f"{position}: {error}\n{NOTHING_CHANGED}") from None
            has_moved = any(isinstance(done, EndpointStep) for done in steps[: number - 1])
            text = advice.describe(is_after_endpoint=has_moved)
            raise ToolError(f"{position}: {error}\n{_describe_existing(deployment)}\n{text}") from None


def rollback(deployment: Deployment) -> str:
    """Move the endpoint to the configuration before its present one, and return the name of this configuration.

    Raises: ToolError if there is none, if the endpoint is not ours, or if AWS refuses the move.
    """
    previous = History(deployment).previous
    mode = present_mode(deployment) or deployment.config.mode
    deployment = deployment.with_values(mode=mode)
    deployment.report(f"moving {deployment.config.name} back to {previous}")
    EndpointStep(deployment, target=previous).apply()
    return previous


def remove_model(deployment: Deployment, name: str) -> None:
    """Remove an artifact from a multi-model endpoint. `up` with another model_dir adds one.

    Raises: ToolError if there is no such artifact.
    """
    mode = present_mode(deployment)
    if mode != "multi-model":
        found = f"{deployment.config.name} is {mode}" if mode else f"there is no endpoint {deployment.config.name}"
        raise ToolError(
            f"only a multi-model endpoint has artifacts to remove, and {found}: use `down`, or another --name"
        )
    known: list[str] = []
    for view in views_by_bucket(deployment.with_values(mode=mode)):
        artifacts = ArtifactStep(view).further_models()
        if name in artifacts:
            delete_objects(view, [artifacts[name]])
            return
        known += artifacts
    wanted = name or "without a name"
    raise ToolError(
        f"there is no artifact {wanted}: name one of {', '.join(sorted(known)) or 'none'} with --target-model"
    )


def existing_resources(deployment: Deployment) -> list[OwnedResource]:
    """List everything that belongs to the deployment, in the order of removal.

    The list does not depend on the configured mode, because an earlier configuration may have had another one.
    """
    resources = [resource for step in reversed(all_steps(deployment)) for resource in step.resources()]
    # Only the models name these buckets, so the models go last: a `down` that fails can be repeated.
    models = next((place for place, one in enumerate(resources) if one.kind == ModelsStep.kind), len(resources))
    return [*resources[:models], *_in_further_buckets(deployment), *resources[models:]]


def _in_further_buckets(deployment: Deployment) -> Iterator[OwnedResource]:
    """Yield our objects in buckets that only our models name, and such a bucket itself if it is ours."""
    for view in list(views_by_bucket(deployment))[1:]:
        bucket, objects = view.names.bucket, f"s3://{view.names.bucket}/{view.names.key_prefix}"
        try:
            yield from ArtifactStep(view).resources()
        except AwsError as error:
            reason = f"the artifact in s3://{bucket}, because you may not look into the bucket ({error})"
            yield _kept(view, "S3 objects", objects, reason, error)
            continue
        try:
            yield from BucketStep(view).resources()
        except AwsError as error:
            reason = f"the bucket {bucket}, because you may not see whether this tool made it ({error})"
            yield _kept(view, "S3 bucket", bucket, reason, error)


def _kept(view: Deployment, kind: str, name: str, reason: str, error: AwsError) -> OwnedResource:
    """Return a resource that `down` keeps and names. Raises: the error, unless the caller lacks a permission."""
    if error.code not in DENIED:
        raise error

    def keep() -> None:
        raise ResourceKept(f"{reason}; with the permission, `{view.down_command}` looks again")

    return OwnedResource(kind, name, keep)


def add_notes(deployment: Deployment, resources: list[OwnedResource]) -> None:
    """Note at the endpoint configurations which of them is in use, and to which the next rollback goes."""
    history = History(deployment)
    for resource in resources:
        if resource.kind == EndpointConfigStep.kind:
            resource.note = history.note(resource.name)


def log_groups(deployment: Deployment, resources: list[OwnedResource]) -> list[str]:
    """Return the groups of CloudWatch that keep the logs of the endpoint and of the batch jobs."""
    groups = [f"the group /aws/sagemaker/Endpoints/{one.name}" for one in resources if one.kind == "endpoint"]
    return groups + ["the group /aws/sagemaker/TransformJobs"] * bool(BatchTransformStep(deployment).list_ours())


def status_lines(deployment: Deployment) -> list[str]:
    """Describe the endpoint's variants, a multi-model endpoint's artifacts, and the batch transform jobs."""
    deployment = deployment.with_values(mode=present_mode(deployment) or deployment.config.mode)
    lines = [line for step in all_steps(deployment) for line in step.status_lines()]
    for view in list(views_by_bucket(deployment))[1:]:
        try:
            lines += ArtifactStep(view).status_lines()
        except ToolError as error:
            lines.append(f"the artifacts in s3://{view.names.bucket} could not be listed: {error}")
    return lines


def down(deployment: Deployment, resources: list[OwnedResource]) -> list[str]:
    """Remove the resources one after the other. Return what is kept, and why.

    Raises: ToolError, which names the resources that are left.
    """
    kept = []
    for number, resource in enumerate(resources):
        deployment.report(f"removing {resource}")
        try:
            resource.remove()
        except ResourceKept as reason:
            kept.append(str(reason))
        except ToolError as error:
            left = ", ".join(map(str, resources[number:]))
            raise ToolError(
                f"{resource}: {error}\nThese resources are left: {left}.\nFix the cause and run the same `down` again."
            ) from None
    return kept


def _describe_existing(deployment: Deployment) -> str:
    try:
        resources = existing_resources(deployment)
    except ToolError as error:
        return f"The existing resources could not be listed ({error}). `status` lists them."
    return f"These resources exist now: {', '.join(map(str, resources)) or 'none'}."
