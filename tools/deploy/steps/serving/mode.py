"""The step that checks the mode of an existing endpoint."""

from tools.deploy.steps.serving.endpoint_state import describe_current_config, describe_endpoint, is_foreign
from tools.deploy.steps.step import Step
from tools.errors import ToolError


class ModeStep(Step):
    """Refuses to change the mode of an endpoint, such as from realtime to async, because AWS cannot do that.

    This is the first step, so a refused change has no effects.
    """

    title = "mode"

    def change(self) -> str | None:
        """Check the mode. There is never a change to describe, so the return value is None.

        Raises: ToolError if our endpoint has another mode than the configuration.
        """
        name, wanted, present = self._config.name, self._config.mode, self._present_mode()
        if present in (None, wanted):
            return None
        if not is_foreign(self._deployment, describe_endpoint(self._deployment)):
            raise ToolError(
                f"{name} is {present}, and AWS cannot change that to {wanted}: "
                "choose another --name, or run `down` first"
            )
        return None

    def apply(self) -> None:
        """Do nothing. The check is in `change`."""

    def _present_mode(self) -> str | None:
        config = describe_current_config(self._deployment)
        if config.get("AsyncInferenceConfig"):
            return "async"
        variants = config.get("ProductionVariants", [])
        if any(variant.get("ServerlessConfig") for variant in variants):
            return "serverless"
        return "realtime" if variants else None
