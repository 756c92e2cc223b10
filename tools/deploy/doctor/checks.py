"""All checks of the command doctor, in the order of what they need."""

from collections.abc import Callable

from tools.deploy.deployment import Deployment
from tools.deploy.doctor.finding import Finding
from tools.deploy.doctor.permissions import check_permissions
from tools.deploy.doctor.quotas import check_quotas
from tools.deploy.steps.preparation.bucket import bucket_exists
from tools.deploy.steps.preparation.image import ImageStep
from tools.deploy.steps.preparation.image_format import DOCKER_MANIFEST, REMEDY
from tools.deploy.steps.preparation.mode import ModeStep
from tools.deploy.steps.preparation.network import NetworkStep
from tools.errors import ToolError


def run_checks(deployment: Deployment) -> list[Finding]:
    """Run all checks. A failed check does not stop the others."""
    config = deployment.config
    findings = [
        Finding("credentials", "ok", f"account {deployment.account}, as {deployment.caller_arn}"),
        _attempt("region", lambda: _list_models(deployment)),
        check_permissions(deployment, deployment.caller_arn),
        check_quotas(deployment),
        _attempt("mode and instance type", lambda: ModeStep(deployment).change() or config.mode),
        _attempt("artifact", lambda: f"{deployment.artifact.size_bytes / 1e6:,.0f} MB in {config.model_dir}"),
        _attempt("bucket", lambda: "exists" if bucket_exists(deployment) else "will be created"),
        _attempt("image", lambda: _image(deployment)),
    ]
    if config.vpc:
        findings.append(_attempt("network", lambda: NetworkStep(deployment).change() or "the subnets are in two zones"))
    return findings


def _attempt(check: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", find())
    except ToolError as error:
        return Finding(check, "fails", str(error))


def _list_models(deployment: Deployment) -> str:
    deployment.aws.call("sagemaker", "ListModels", MaxResults=1)
    return f"SageMaker answers in {deployment.config.region}"


def _image(deployment: Deployment) -> str:
    """Check the format of the image: in ECR if it is there already, otherwise on this machine."""
    change = ImageStep(deployment).change()
    if change is None:
        return "is in ECR in docker's format"
    found = deployment.image.engine.media_type(deployment.config.image)
    if found and found != DOCKER_MANIFEST:
        raise ToolError(f"the image {deployment.config.image} has the format {found}. {REMEDY}")
    return f"{change}{'' if found else '; its format is known after the push'}"
