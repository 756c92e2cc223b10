"""What the user of a failed `up` is told: what exists now, how to continue, and whether there is anything to undo."""

from typing import Any

from tools.deploy.deployment import Deployment
from tools.deploy.steps.history import History
from tools.deploy.steps.serving.batch_transform import BatchTransformStep
from tools.deploy.steps.serving.endpoint_state import describe_endpoint, is_foreign
from tools.errors import ToolError

CONTINUE = "Fix the cause and run the same `up` again."
NOTHING_CHANGED = f"Nothing was changed. {CONTINUE}"


class UndoAdvice:
    """Remembers what served requests before an `up`, which `down` would remove together with what `up` created."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._endpoint = _our_endpoint(deployment)
        jobs = [] if deployment.config.has_endpoint else BatchTransformStep(deployment).resources()
        self._jobs = [job.name for job in jobs]

    def describe(self, *, is_after_endpoint: bool) -> str:
        """Describe how to continue after a failure, and how to undo if nothing served requests before.

        is_after_endpoint: a step after that for the endpoint has failed, which may have changed its scaling.
        """
        if self._endpoint:
            return f"{self._describe_change(is_after_endpoint=is_after_endpoint)} To continue: {CONTINUE}"
        if self._jobs:
            return f"{', '.join(self._jobs)} still runs, and nothing needs to be undone. To continue: {CONTINUE}"
        return (
            f"To continue: {CONTINUE} To undo this first creation, run `{self._deployment.down_command}`, which "
            "removes what exists."
        )

    def _describe_change(self, *, is_after_endpoint: bool) -> str:
        name, before = self._deployment.config.name, self._endpoint["EndpointConfigName"]
        try:
            endpoint = _our_endpoint(self._deployment)
        except ToolError:
            endpoint = {}
        if not endpoint:
            return f"The endpoint {name} served the configuration {before} before; `status` shows its state."
        present, status = endpoint["EndpointConfigName"], endpoint["EndpointStatus"]
        if present == before and status == "InService":
            serves = f"The endpoint {name} still serves the configuration {before}"
            if is_after_endpoint:
                return f"{serves}, but later steps may have changed its scaling, weights or instances."
            return f"{serves}, and nothing needs to be undone."
        if present == before:
            return f"The endpoint {name} has the configuration {before} as before. Its status is {status}."
        state = f"The endpoint {name} now has the configuration {present} (status {status})."
        if self._is_next_rollback(before):
            return f"{state} `rollback` returns it to {before}, which it had before."
        return f"{state} `up` with your earlier file returns it to {before}, which it had before."

    def _is_next_rollback(self, config_name: str) -> bool:
        try:
            return History(self._deployment).previous == config_name
        except ToolError:
            return False


def _our_endpoint(deployment: Deployment) -> dict[str, Any]:
    endpoint = describe_endpoint(deployment)
    return {} if endpoint is None or is_foreign(deployment, endpoint) else endpoint
