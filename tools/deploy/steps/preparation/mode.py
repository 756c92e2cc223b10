"""The step that checks whether AWS can change an existing endpoint as the configuration wants."""

from tools.deploy.config import Mode
from tools.deploy.deployment import Deployment
from tools.deploy.steps.serving.endpoint_state import describe_current_config, describe_endpoint, is_foreign
from tools.deploy.steps.step import Step
from tools.errors import ToolError
from tools.remote.aws import SAGEMAKER_NOT_FOUND


class ModeStep(Step):
    """Refuses what AWS cannot do: change the mode of an endpoint, and change variants while an alarm watches.

    This is the first step, so a refused change has no effects.
    """

    title = "mode"
    only_checks = True

    def change(self) -> str | None:
        """Check the mode and the variants. There is never a change to describe, so the return value is None.

        Raises: ToolError if our endpoint has another mode than the configuration, or other variants although the
        rollback alarm is on; and if SageMaker does not have the instance type in this mode.
        """
        self._check_instance_type()
        self._check_variants()
        name, wanted, present = self._config.name, self._config.mode, present_mode(self._deployment)
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

    def _check_instance_type(self) -> None:
        if self._config.mode == "serverless":
            return
        shape = "ProductionVariantInstanceType" if self._config.has_endpoint else "TransformInstanceType"
        known = self._aws.enumeration("sagemaker", shape)
        flag = "--instance-pools" if self._config.instance_pools else "--instance"
        for instance in self._config.instance_types:
            if instance not in known:
                family = instance.rpartition(".")[0]
                near = ", ".join(one for one in known if one.startswith(f"{family}.")) or "another family"
                raise ToolError(
                    f"SageMaker has no {instance} in {self._config.mode} mode, as far as this version of boto3 knows: "
                    f"choose {near} with {flag}"
                )

    def _check_variants(self) -> None:
        """Check the names of the variants.

        AWS watches alarms only if they stay the same:
        https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        """
        if not self._config.rollback_alarm or not self._config.has_endpoint:
            return
        present = {
            one["VariantName"] for one in describe_current_config(self._deployment).get("ProductionVariants", [])
        }
        wanted = {variant.name for variant in self._config.variants}
        if present in (set(), wanted) or is_foreign(self._deployment, describe_endpoint(self._deployment)):
            return
        raise ToolError(
            f"{self._config.name} has the variants {', '.join(sorted(present))}, and the configuration has "
            f"{', '.join(sorted(wanted))}. AWS cannot change the variants while a rollback alarm watches: run `up` "
            "once with --no-rollback-alarm, or choose another --name"
        )


def present_mode(deployment: Deployment) -> Mode | None:
    """Return the mode of the endpoint that exists, or None if there is no endpoint."""
    config = describe_current_config(deployment)
    if config.get("AsyncInferenceConfig"):
        return "async"
    variants = config.get("ProductionVariants", [])
    if any(variant.get("ServerlessConfig") for variant in variants):
        return "serverless"
    if not variants:
        return None
    name = variants[0]["ModelName"]
    model = deployment.aws.find("sagemaker", "DescribeModel", SAGEMAKER_NOT_FOUND, ModelName=name) or {}
    is_multi_model = model.get("PrimaryContainer", {}).get("Mode") == "MultiModel"
    return "multi-model" if is_multi_model else "realtime"
