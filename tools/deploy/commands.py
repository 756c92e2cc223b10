"""What the commands plan, up, rollback, status and down do with the steps of a deployment."""

from tools.deploy.deployment import Deployment
from tools.deploy.ownership import OwnedResource
from tools.deploy.steps import all_steps
from tools.deploy.steps.history import History
from tools.deploy.steps.preparation.artifact import ArtifactStep
from tools.deploy.steps.serving.endpoint import EndpointStep
from tools.errors import ToolError


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
    for number, step in enumerate(steps, 1):
        position = f"step {number} of {len(steps)}, {step.title}"
        try:
            deployment.report(f"{position}: {step.change() or 'up to date'}")
            step.apply()
        except ToolError as error:
            raise ToolError(
                f"{position}: {error}\n{_describe_existing(deployment)}\n"
                "To continue, fix the cause and run the same `up` again. "
                f"To undo, run `{_down_command(deployment)}`, which removes what exists."
            ) from None


def rollback(deployment: Deployment) -> str:
    """Move the endpoint to the configuration before its present one, and return the name of this configuration.

    Raises: ToolError if there is none, if the endpoint is not ours, or if AWS refuses the move.
    """
    previous = History(deployment).previous
    deployment.report(f"moving {deployment.config.name} back to {previous}")
    EndpointStep(deployment, target=previous).apply()
    return previous


def remove_model(deployment: Deployment, name: str) -> None:
    """Remove a model from a multi-model endpoint. `up` with another model_dir adds one.

    Raises: ToolError if there is no such model.
    """
    if deployment.config.mode != "multi-model":
        raise ToolError("only a multi-model endpoint has models to remove: give --mode multi-model, or use `down`")
    ArtifactStep(deployment).remove_model(name)


def existing_resources(deployment: Deployment) -> list[OwnedResource]:
    """List everything that belongs to the deployment, in the order of removal.

    The list does not depend on the configured mode, because an earlier configuration may have had another one.
    """
    return [resource for step in reversed(all_steps(deployment)) for resource in step.resources()]


def status_lines(deployment: Deployment) -> list[str]:
    """Describe the endpoint's variants and the batch transform jobs."""
    return [line for step in all_steps(deployment) for line in step.status_lines()]


def down(deployment: Deployment, resources: list[OwnedResource]) -> None:
    """Remove the resources one after the other.

    Raises: ToolError, which names the resources that are left.
    """
    for number, resource in enumerate(resources):
        deployment.report(f"removing {resource}")
        try:
            resource.remove()
        except ToolError as error:
            left = ", ".join(map(str, resources[number:]))
            raise ToolError(
                f"{resource}: {error}\nThese resources are left: {left}.\nFix the cause and run the same `down` again."
            ) from None


def _down_command(deployment: Deployment) -> str:
    config = deployment.config
    bucket = f" --bucket {config.bucket}" if config.bucket else ""
    return f"python -m tools.deploy down --name {config.name} --region {config.region}{bucket}"


def _describe_existing(deployment: Deployment) -> str:
    try:
        resources = existing_resources(deployment)
    except ToolError as error:
        return f"The existing resources could not be listed ({error}). `status` lists them."
    return f"These resources exist now: {', '.join(map(str, resources)) or 'none'}."
